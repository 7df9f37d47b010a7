package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/cmd/ballast/internal/api"
	"example.com/ballast/cmd/ballast/internal/dlq"
	"example.com/ballast/cmd/ballast/internal/timeline"
	ordersv1 "example.com/ballast/gen/orders/v1"
	paymentsv1 "example.com/ballast/gen/payments/v1"
)

const (
	// Patience with each part, by judgement: what is away must not hide the rest
	// for long.
	paymentPatience = 3 * time.Second
	recordsPatience = 15 * time.Second
	bookPatience    = 5 * time.Second
	// trailRecords bounds the reading of each partition: seconds, and minutes of
	// full load.
	trailRecords = 200_000
	// clockSlack is by how much a broker's clock may be behind that of orders.
	clockSlack = 5 * time.Second
)

// trail is the timeline of an order, and what of it could not be read.
type trail struct {
	payment *paymentsv1.Payment
	steps   []timeline.Step
	notes   []string
}

// follow gathers all that can be read.
func (t *orderTool) follow(ctx context.Context, client *api.Client, o *ordersv1.Order, past *ordersv1.GetOrderHistoryResponse) *trail {
	found := &trail{}
	within := func(patience time.Duration, what string, read func(context.Context) error) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if err := read(ctx); err != nil {
			found.notes = append(found.notes, fmt.Sprintf("not read: %s: %v", what, err))
		}
	}
	within(paymentPatience, "the payment", func(ctx context.Context) error {
		res, err := api.Do(ctx, client, client.Payments.GetPayment, &paymentsv1.GetPaymentRequest{OrderId: o.GetOrderId()})
		if connect.CodeOf(err) == connect.CodeNotFound {
			return nil // It was never asked for.
		}
		found.payment = res.GetPayment()
		return err
	})
	var records []*kgo.Record
	within(recordsPatience, "messages", func(ctx context.Context) error {
		brokers, login, err := atKafka(t.to.home(), nil)
		if err != nil {
			return err
		}
		desk, err := dlq.NewDesk(login, brokers...)
		if err != nil {
			return err
		}
		defer desk.Close()
		notes, err := desk.Trail(ctx, o.GetOrderId(), o.GetCreateTime().AsTime().Add(-clockSlack), trailRecords,
			func(r *kgo.Record) { records = append(records, r) })
		found.notes = append(found.notes, notes...)
		return err
	})
	var book []api.BookLine
	within(bookPatience, "the provider's book", func(ctx context.Context) (err error) {
		book, err = client.BookOf(ctx, o.GetOrderId())
		return err
	})
	found.steps = timeline.Build(o.GetCreateTime().AsTime(), past.GetEvents(), records, book)
	return found
}

// print writes the timeline. OUTBOX is from what happened to the broker's
// timestamp, ANSWERED from there to the answer.
func (f *trail) print(w io.Writer) {
	if p := f.payment; p != nil {
		status := strings.ToLower(strings.TrimPrefix(p.GetStatus().String(), "PAYMENT_STATUS_"))
		row(w, "payment", fmt.Sprintf("%s, the provider was asked %d times", status, p.GetAttempts()))
		row(w)
	}
	row(w, "MS", "KIND", "WHAT", "OUTBOX MS", "ANSWERED MS", "PLACE", "DETAIL")
	for _, s := range f.steps {
		row(w, millis(&s.At), s.Kind, s.What, millis(s.Outbox), millis(s.Answered), s.Place, shorten(s.Detail, 100))
	}
	for _, n := range f.notes {
		row(w, n)
	}
}

func millis(ms *float64) string {
	if ms == nil {
		return ""
	}
	return strconv.FormatFloat(*ms, 'f', 1, 64)
}
