package rpc

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "example.com/ballast/gen/money/v1"
	ordersv1 "example.com/ballast/gen/orders/v1"
	"example.com/ballast/pkg/batch"
	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/money"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/shed"
	"example.com/ballast/services/orders/internal/order"
)

// retryAfter is what a client is told when the moment is to blame. By judgement:
// long enough for a conflict or a full queue to pass, short for a person.
const retryAfter = time.Second

// watchAgain is what a client is told whose stream finds no place: places become
// free as orders end, after seconds.
const watchAgain = 5 * time.Second

// errStreamOld ends a stream after maxStream.
var errStreamOld = errors.New("stream is too old")

// forClient is the one mapping from this service's errors to the client's. What
// is not named here becomes Internal at the edge, with a fixed message.
func forClient(err error) error {
	if refusal, ok := errors.AsType[*order.Refusal](err); ok {
		return edge.FieldErrors(edge.Violation{Field: refusal.Field, Description: refusal.Detail, Rule: refusal.Reason})
	}
	if changed, ok := errors.AsType[*order.PriceChanged](err); ok {
		return edge.Error(connect.CodeFailedPrecondition, changed.Error(), "PRICE_CHANGED", map[string]string{
			"currency":           changed.Actual.Currency,
			"expectedMinorUnits": strconv.FormatInt(changed.Expected.Minor, 10),
			"expectedCurrency":   changed.Expected.Currency,
			"actualMinorUnits":   strconv.FormatInt(changed.Actual.Minor, 10),
		})
	}
	switch {
	case errors.Is(err, order.ErrNotFound):
		return edge.Error(connect.CodeNotFound, "no such order", "ORDER_NOT_FOUND", nil)
	case errors.Is(err, order.ErrKeyReused):
		return edge.Error(connect.CodeFailedPrecondition,
			"the Idempotency-Key was used for another request; take a new key for a new order", "IDEMPOTENCY_KEY_REUSED", nil)
	case errors.Is(err, order.ErrConfirmed):
		return edge.Error(connect.CodeFailedPrecondition, "the order is confirmed and can't be cancelled any more", "ORDER_CONFIRMED", nil)
	case errors.Is(err, order.ErrNeedsOperator):
		return edge.Error(connect.CodeFailedPrecondition, "the order waits for an operator", "ORDER_NEEDS_OPERATOR", nil)
	case errors.Is(err, order.ErrNothingToResume):
		return edge.Error(connect.CodeFailedPrecondition,
			"nothing is outstanding that could be sent again: cancel the order or settle it", "NOTHING_TO_RESUME", nil)
	case errors.Is(err, order.ErrStillOpen):
		return edge.Error(connect.CodeFailedPrecondition,
			"the order still moves by itself: only one in NEEDS_OPERATOR is settled by hand", "ORDER_STILL_OPEN", nil)
	case errors.Is(err, order.ErrEnded):
		return edge.Error(connect.CodeFailedPrecondition, "the order has ended otherwise", "ORDER_HAS_ENDED", nil)
	case errors.Is(err, order.ErrVersionChanged):
		return edge.Error(connect.CodeFailedPrecondition, "the order is not at the expected version any more", "VERSION_CHANGED", nil)
	case errors.Is(err, order.ErrTooManyWatchers):
		return edge.RetryLater(connect.CodeUnavailable, "too many orders are watched at this moment", "TOO_MANY_STREAMS", watchAgain)
	case errors.Is(err, errStreamOld):
		return edge.RetryLater(connect.CodeUnavailable, "the stream has lasted long enough; come again", "STREAM_TOO_OLD", retryAfter)
	case errors.Is(err, batch.ErrFull):
		// The last line behind pkg/shed, which the client need not tell apart.
		return edge.RetryLater(connect.CodeUnavailable, "too many orders at this moment", shed.Reason, shed.RetryAfter)
	case errors.Is(err, batch.ErrStopped):
		return edge.RetryLater(connect.CodeUnavailable, edge.ErrDraining.Error(), "STOPPING", retryAfter)
	case errors.Is(err, pg.ErrConflict):
		return edge.Because(edge.RetryLater(connect.CodeAborted, "the order is being changed; try again", "CONFLICT", retryAfter), err)
	case pg.Transient(err):
		return edge.Because(edge.RetryLater(connect.CodeUnavailable, "orders can't be stored or read at this moment", "STORE_UNAVAILABLE", retryAfter), err)
	}
	return err
}

func orderProto(v order.View) *ordersv1.Order {
	o := &ordersv1.Order{
		OrderId: v.ID.String(), CustomerId: v.Customer, Status: ordersv1.OrderStatus(v.Status), Total: moneyProto(v.Total),
		ShipTo: &ordersv1.Address{
			Country: v.Country, Name: v.Recipient.Name, Lines: v.Recipient.Lines,
			City: v.Recipient.City, PostalCode: v.Recipient.PostalCode,
		},
		Version: v.Version, CreateTime: timestamppb.New(v.CreatedAt), UpdateTime: timestamppb.New(v.UpdatedAt),
		CancelReason: ordersv1.CancelReason(v.Reason), Detail: v.Detail,
		Lines: make([]*ordersv1.OrderLine, len(v.Lines)),
	}
	for i, l := range v.Lines {
		o.Lines[i] = &ordersv1.OrderLine{Sku: l.SKU, Quantity: l.Quantity, UnitPrice: moneyProto(l.Price)}
	}
	o.Wait = waitProto(v.State)
	return o
}

func waitProto(s order.State) *ordersv1.Wait {
	w := &ordersv1.Wait{Since: timestamppb.New(s.Since), Resends: s.Resends}
	switch {
	case s.Status == order.NeedsOperator:
		w.What = "an operator"
		return w
	case s.Status == order.Cancelling:
		w.What = "undoing " + s.Awaits().String()
	case s.Status.Open():
		w.What = s.Awaits().String()
	default:
		return nil
	}
	w.Deadline = timestamppb.New(s.Deadline)
	return w
}

func recipient(a *ordersv1.Address) order.Recipient {
	return order.Recipient{Name: a.GetName(), Lines: a.GetLines(), City: a.GetCity(), PostalCode: a.GetPostalCode()}
}

func moneyProto(m money.Money) *moneyv1.Money {
	return &moneyv1.Money{Currency: m.Currency, MinorUnits: m.Minor}
}

// historyProto folds along the way, so that each event shows the status after it.
func historyProto(recorded []order.Recorded, operator bool) []*ordersv1.OrderEvent {
	events := make([]*ordersv1.OrderEvent, len(recorded))
	var s order.State
	for i, r := range recorded {
		s = order.Evolve(s, r)
		events[i] = eventProto(r, s.Status, operator)
	}
	return events
}

// eventProto is an event as an operator sees it, or a customer, who does not
// learn which person decided.
func eventProto(r order.Recorded, after order.Status, operator bool) *ordersv1.OrderEvent {
	name, detail := describe(r.Event)
	e := &ordersv1.OrderEvent{
		Version: r.Version, Type: "orders.v1." + name, OccurTime: timestamppb.New(r.At),
		Status: ordersv1.OrderStatus(after), Detail: detail,
	}
	if by, ok := order.Decided(r.Event); ok && operator {
		e.Operator, e.Reason = by.Operator, by.Reason
	}
	return e
}

// describe names an event as its stored type does, with a line for people.
func describe(e order.Event) (name, detail string) {
	switch e := e.(type) {
	case order.WasPlaced:
		return "OrderPlaced", fmt.Sprintf("%d lines, %s", len(e.Lines), e.Total)
	case order.StepDone:
		return [...]string{order.Reserve: "OrderReserved", order.Charge: "OrderCharged", order.Ship: "OrderConfirmed"}[e.Step], ""
	case order.CancellationStarted:
		return "OrderCancellationStarted", e.Detail
	case order.StepUndone:
		return "OrderStepUndone", e.Step.String()
	case order.WasCancelled:
		return "OrderCancelled", e.Detail
	case order.StepResent:
		return "OrderStepResent", fmt.Sprintf("%s, re-send %d", e.Step, e.Resends)
	case order.OperatorNeeded:
		return "OrderNeedsOperator", e.Detail
	case order.Resumed:
		return "OrderResumed", "waits anew"
	case order.Settled:
		return "OrderSettled", "settled as " + e.As.String()
	}
	return "", ""
}
