package events

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	inventoryv1 "example.com/ballast/gen/inventory/v1"
	paymentsv1 "example.com/ballast/gen/payments/v1"
	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/stream"
	"example.com/ballast/services/orders/internal/order"
)

// ErrUnknownOrder rejects an answer about an order that does not exist.
var ErrUnknownOrder = errors.New("answer about an unknown order")

// Answers handles batches of inventory's and payments' answers.
func Answers(tell func(context.Context, []order.Told) ([]order.Verdict, error)) stream.Handler {
	return func(ctx context.Context, batch []stream.Record) error {
		told := make([]order.Told, len(batch))
		var poison []error
		for i, r := range batch {
			id, answer, err := decodeAnswer(r.Message)
			if err != nil {
				poison = append(poison, stream.Reject(i, err))
			}
			told[i] = order.Told{Order: id, Fact: answer, Trace: r.TraceParent}
		}
		if len(poison) > 0 {
			return errors.Join(poison...)
		}
		verdicts, err := tell(ctx, told)
		if err != nil {
			return err
		}
		// The others are stored by now; told once more, they change nothing.
		for i, v := range verdicts {
			if errors.Is(v.Err, order.ErrNotFound) {
				poison = append(poison, stream.Reject(i, fmt.Errorf("%w: %s", ErrUnknownOrder, told[i].Order)))
			}
		}
		return errors.Join(poison...)
	}
}

// answerMessage is what all answers have in common.
type answerMessage interface {
	proto.Message
	GetOrderId() string
	GetVersion() int64
}

// decodeAnswer turns a participant's message into a fact. What it can't read is poison.
func decodeAnswer(m message.Message) (ids.ID, order.Answer, error) {
	var (
		answer  order.Answer
		content answerMessage
		detail  = func() string { return "" }
	)
	is := func(step order.Step, outcome order.Outcome, into answerMessage) {
		answer.Step, answer.Outcome, content = step, outcome, into
	}
	switch m.Type {
	case "inventory.v1.StockReserved":
		is(order.Reserve, order.Done, &inventoryv1.StockReserved{})
	case "inventory.v1.StockRejected":
		rejected := &inventoryv1.StockRejected{}
		is(order.Reserve, order.Rejected, rejected)
		detail = func() string { return shortages(rejected) }
	case "inventory.v1.StockReleased":
		is(order.Reserve, order.Undone, &inventoryv1.StockReleased{})
	case "payments.v1.PaymentCharged":
		is(order.Charge, order.Done, &paymentsv1.PaymentCharged{})
	case "payments.v1.PaymentDeclined":
		declined := &paymentsv1.PaymentDeclined{}
		is(order.Charge, order.Rejected, declined)
		detail = declined.GetCode
	case "payments.v1.PaymentVoided":
		is(order.Charge, order.Undone, &paymentsv1.PaymentVoided{})
	case "payments.v1.PaymentRefunded":
		is(order.Charge, order.Undone, &paymentsv1.PaymentRefunded{})
	case "inventory.v1.ShipmentScheduled":
		is(order.Ship, order.Done, &inventoryv1.ShipmentScheduled{})
	case "inventory.v1.ShipmentRefused":
		refused := &inventoryv1.ShipmentRefused{}
		is(order.Ship, order.Rejected, refused)
		detail = refused.GetDetail
	case "inventory.v1.ShipmentCancelled":
		is(order.Ship, order.Undone, &inventoryv1.ShipmentCancelled{})
	default:
		return ids.ID{}, answer, fmt.Errorf("unknown message type %q", m.Type)
	}
	if err := proto.Unmarshal(m.Value, content); err != nil {
		return ids.ID{}, answer, fmt.Errorf("%s: %w", m.Type, err)
	}
	id, err := ids.Parse(content.GetOrderId())
	if err != nil {
		return ids.ID{}, answer, fmt.Errorf("%s: order_id: %w", m.Type, err)
	}
	if content.GetVersion() <= 0 {
		return ids.ID{}, answer, fmt.Errorf("%s: version %d is not positive", m.Type, content.GetVersion())
	}
	answer.Version, answer.Detail = content.GetVersion(), detail()
	return id, answer, nil
}

// shortages is one readable line, cut off where it stops being one.
func shortages(m *inventoryv1.StockRejected) string {
	const most = 5
	var words []string
	for i, s := range m.GetShortages() {
		if i == most {
			words = append(words, fmt.Sprintf("and %d more", len(m.GetShortages())-most))
			break
		}
		words = append(words, fmt.Sprintf("%s: %d wanted, %d available", s.GetSku(), s.GetRequested(), s.GetAvailable()))
	}
	return strings.Join(words, "; ")
}
