package reconcile

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/ballast/cmd/ballast/internal/api"
	ordersv1 "example.com/ballast/gen/orders/v1"
)

// Pauses between looks at a stack that is still working. By judgement: an order
// takes tens of milliseconds, a recovery seconds.
const (
	orderPoll = 200 * time.Millisecond
	bookPoll  = time.Second
)

// pollers is how many orders are looked at at once while waiting.
const pollers = 8

// Result is the outcome of a reconciliation.
type Result struct {
	// Books as they were read last.
	Books Books `json:"-"`
	// Orders counts all orders by status.
	Orders map[string]int `json:"orders"`
	// Captured, Refunded are the provider's sums in minor units.
	Captured int64 `json:"capturedMinorUnits"`
	Refunded int64 `json:"refundedMinorUnits"`
	// What was compared.
	BookLines     int `json:"bookLines"`
	LedgerEntries int `json:"ledgerEntries"`
	SKUs          int `json:"skus"`
	Reservations  int `json:"reservations"`
	// Differences are empty when the books agree.
	Differences []Difference `json:"differences"`
}

// Run waits until every order is terminal and then compares the books. It waits
// as long as the number of open orders goes down, and wait longer; differences
// that are still there when wait is over are the result, and so are orders that
// are not terminal then. open, when set, is told how many orders are open.
func Run(ctx context.Context, c *api.Client, accepted []string, wait time.Duration, open func(int)) (*Result, error) {
	if err := awaitTerminal(ctx, c, wait, open); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(wait); ; {
		books, err := Read(ctx, c)
		if err != nil {
			return nil, err
		}
		books.Accepted = accepted
		result := summarize(&books)
		if len(result.Differences) == 0 || time.Now().After(deadline) {
			return result, nil
		}
		if err := pause(ctx, bookPoll); err != nil {
			return nil, err
		}
	}
}

// awaitTerminal lists the orders once and then looks at the open ones only.
func awaitTerminal(ctx context.Context, c *api.Client, wait time.Duration, report func(int)) error {
	var open []string
	err := c.EachOrder(ctx, func(o *ordersv1.Order) {
		if !Terminal(o.GetStatus()) {
			open = append(open, o.GetOrderId())
		}
	})
	if err != nil {
		return fmt.Errorf("list orders: %w", err)
	}
	for deadline := time.Now().Add(wait); ; {
		if report != nil {
			report(len(open))
		}
		if len(open) == 0 || time.Now().After(deadline) {
			return nil
		}
		if err := pause(ctx, orderPoll); err != nil {
			return err
		}
		still, err := stillOpen(ctx, c, open)
		if err != nil {
			return err
		}
		if len(still) < len(open) {
			deadline = time.Now().Add(wait)
		}
		open = still
	}
}

// stillOpen returns those of the orders that are not terminal.
func stillOpen(ctx context.Context, c *api.Client, ids []string) ([]string, error) {
	over := make([]bool, len(ids))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(pollers)
	for i, id := range ids {
		group.Go(func() error {
			res, err := api.Do(ctx, c, c.Orders.GetOrder, &ordersv1.GetOrderRequest{OrderId: id})
			if err != nil {
				return fmt.Errorf("get order %s: %w", id, err)
			}
			over[i] = Terminal(res.GetOrder().GetStatus())
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var still []string
	for i, id := range ids {
		if !over[i] {
			still = append(still, id)
		}
	}
	return still, nil
}

func summarize(books *Books) *Result {
	r := &Result{
		Books: *books, Orders: map[string]int{}, BookLines: len(books.Book), LedgerEntries: len(books.Ledger),
		SKUs: len(books.Stock), Reservations: len(books.Reservations), Differences: Check(books),
	}
	for _, o := range books.Orders {
		r.Orders[StatusName(o.GetStatus())]++
	}
	for _, line := range books.Book {
		switch line.Kind {
		case api.BookCaptured:
			r.Captured += line.Amount
		case api.BookRefunded:
			r.Refunded += line.Amount
		}
	}
	return r
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
