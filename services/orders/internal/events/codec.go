// Package events is what orders says and hears on Kafka: it turns the domain's
// events and commands into messages, stored bytes into events, and the answers
// of inventory and payments into facts.
package events

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "example.com/ballast/gen/inventory/v1"
	moneyv1 "example.com/ballast/gen/money/v1"
	ordersv1 "example.com/ballast/gen/orders/v1"
	paymentsv1 "example.com/ballast/gen/payments/v1"
	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/money"
	"example.com/ballast/services/orders/internal/order"
)

// Topics that orders writes to and reads from.
const (
	OrderEvents       = "orders.events"
	InventoryCommands = "inventory.commands"
	InventoryEvents   = "inventory.events"
	InventoryProducts = "inventory.products"
	PaymentsCommands  = "payments.commands"
	PaymentsEvents    = "payments.events"
)

// Consumer groups of orders: two, so that a long catalogue never delays a checkout.
const (
	Group         = "orders"
	ProductsGroup = "orders.products"
)

const source = "/orders"

// Codec turns the domain into bytes and back. The zero value is ready.
type Codec struct{}

// Event is the record of one event on orders.events; its type and value are
// also what is stored. The trace is the W3C traceparent of whoever caused it.
func (Codec) Event(r order.Recorded, trace string) message.Message {
	return build(OrderEvents, eventProto(r), r.Order, r.Version, r.At, trace)
}

// Command is the message that asks a participant for a step or its undoing.
func (Codec) Command(c order.Command, now time.Time, trace string) message.Message {
	topic, m := commandProto(c)
	return build(topic, m, c.Order, 0, now, trace)
}

func build(topic string, m proto.Message, id ids.ID, version int64, at time.Time, trace string) message.Message {
	value, err := proto.Marshal(m)
	if err != nil {
		// Only invalid UTF-8 makes this fail, and no string that gets here
		// passed the edge's validation with any.
		panic(fmt.Errorf("marshal %T: %w", m, err))
	}
	msg := message.New(topic, string(m.ProtoReflect().Descriptor().FullName()), source, id.String(), version, value, at)
	msg.TraceParent = trace
	return msg
}

func eventProto(r order.Recorded) proto.Message {
	id := r.Order.String()
	switch e := r.Event.(type) {
	case order.WasPlaced:
		m := &ordersv1.OrderPlaced{
			OrderId: id, CustomerId: e.Customer, Total: moneyProto(e.Total), Country: e.Country,
			Deadline: stamp(e.Deadline), IdempotencyKey: e.Key, RequestHash: e.RequestHash,
			Lines: make([]*ordersv1.OrderLine, len(e.Lines)),
		}
		for i, l := range e.Lines {
			m.Lines[i] = &ordersv1.OrderLine{Sku: l.SKU, Quantity: l.Quantity, UnitPrice: moneyProto(l.Price)}
		}
		return m
	case order.StepDone:
		switch e.Step {
		case order.Reserve:
			return &ordersv1.OrderReserved{OrderId: id, AnswerVersion: e.Answer, Deadline: stamp(e.Deadline)}
		case order.Charge:
			return &ordersv1.OrderCharged{OrderId: id, AnswerVersion: e.Answer, Deadline: stamp(e.Deadline)}
		case order.Ship:
			return &ordersv1.OrderConfirmed{OrderId: id, AnswerVersion: e.Answer}
		case order.NoStep:
		}
	case order.CancellationStarted:
		return &ordersv1.OrderCancellationStarted{
			OrderId: id, Reason: ordersv1.CancelReason(e.Reason), Detail: e.Detail, Undo: undoProto(e.Undo), Deadline: stamp(e.Deadline),
			Operator: e.By.Operator, OperatorReason: e.By.Reason,
		}
	case order.StepUndone:
		return &ordersv1.OrderStepUndone{
			OrderId: id, Step: ordersv1.Step(e.Step), AnswerVersion: e.Answer, Deadline: stamp(e.Deadline),
		}
	case order.WasCancelled:
		return &ordersv1.OrderCancelled{OrderId: id, Reason: ordersv1.CancelReason(e.Reason), Detail: e.Detail}
	case order.StepResent:
		return &ordersv1.OrderStepResent{
			OrderId: id, Step: ordersv1.Step(e.Step), Resends: e.Resends, Deadline: stamp(e.Deadline),
		}
	case order.OperatorNeeded:
		return &ordersv1.OrderNeedsOperator{
			OrderId: id, Detail: e.Detail, Step: ordersv1.Step(e.Step), AnswerVersion: e.Answer, Undo: undoProto(e.Undo),
		}
	case order.Resumed:
		return &ordersv1.OrderResumed{
			OrderId: id, Operator: e.By.Operator, Reason: e.By.Reason, Undo: undoProto(e.Undo), Deadline: stamp(e.Deadline),
		}
	case order.Settled:
		return &ordersv1.OrderSettled{
			OrderId: id, Operator: e.By.Operator, Reason: e.By.Reason, Status: ordersv1.OrderStatus(e.As),
		}
	}
	panic(fmt.Errorf("no encoding for event %T", r.Event))
}

func commandProto(c order.Command) (topic string, m proto.Message) {
	id := c.Order.String()
	switch {
	case c.Step == order.Reserve && !c.Undo:
		m := &inventoryv1.ReserveStock{OrderId: id, Lines: make([]*inventoryv1.StockLine, len(c.Lines))}
		for i, l := range c.Lines {
			m.Lines[i] = &inventoryv1.StockLine{Sku: l.SKU, Quantity: l.Quantity}
		}
		return InventoryCommands, m
	case c.Step == order.Reserve:
		return InventoryCommands, &inventoryv1.ReleaseStock{OrderId: id}
	case c.Step == order.Charge && !c.Undo:
		return PaymentsCommands, &paymentsv1.ChargePayment{OrderId: id, Amount: moneyProto(c.Total)}
	case c.Step == order.Charge:
		return PaymentsCommands, &paymentsv1.VoidPayment{OrderId: id}
	case c.Step == order.Ship && !c.Undo:
		return InventoryCommands, &inventoryv1.ScheduleShipment{OrderId: id, Country: c.Country}
	case c.Step == order.Ship:
		return InventoryCommands, &inventoryv1.CancelShipment{OrderId: id}
	}
	panic(fmt.Errorf("no encoding for step %d of a command", c.Step))
}

// Stored turns stored bytes back into an event. The types and fields of every
// earlier version stay readable.
func (Codec) Stored(typ string, data []byte) (order.Event, error) {
	switch typ {
	case "orders.v1.OrderPlaced":
		return decode(data, &ordersv1.OrderPlaced{}, placed)
	case "orders.v1.OrderReserved":
		return decode(data, &ordersv1.OrderReserved{}, func(m *ordersv1.OrderReserved) (order.Event, error) {
			return order.StepDone{Step: order.Reserve, Answer: m.GetAnswerVersion(), Deadline: instant(m.GetDeadline())}, nil
		})
	case "orders.v1.OrderCharged":
		return decode(data, &ordersv1.OrderCharged{}, func(m *ordersv1.OrderCharged) (order.Event, error) {
			return order.StepDone{Step: order.Charge, Answer: m.GetAnswerVersion(), Deadline: instant(m.GetDeadline())}, nil
		})
	case "orders.v1.OrderConfirmed":
		return decode(data, &ordersv1.OrderConfirmed{}, func(m *ordersv1.OrderConfirmed) (order.Event, error) {
			return order.StepDone{Step: order.Ship, Answer: m.GetAnswerVersion()}, nil
		})
	case "orders.v1.OrderCancellationStarted":
		return decode(data, &ordersv1.OrderCancellationStarted{}, func(m *ordersv1.OrderCancellationStarted) (order.Event, error) {
			return order.CancellationStarted{
				Reason: order.Reason(m.GetReason()), Detail: m.GetDetail(), Undo: undo(m.GetUndo()), Deadline: instant(m.GetDeadline()),
				By: order.By{Operator: m.GetOperator(), Reason: m.GetOperatorReason()},
			}, nil
		})
	case "orders.v1.OrderStepUndone":
		return decode(data, &ordersv1.OrderStepUndone{}, func(m *ordersv1.OrderStepUndone) (order.Event, error) {
			return order.StepUndone{Step: order.Step(m.GetStep()), Answer: m.GetAnswerVersion(), Deadline: instant(m.GetDeadline())}, nil
		})
	case "orders.v1.OrderCancelled":
		return decode(data, &ordersv1.OrderCancelled{}, func(m *ordersv1.OrderCancelled) (order.Event, error) {
			return order.WasCancelled{Reason: order.Reason(m.GetReason()), Detail: m.GetDetail()}, nil
		})
	case "orders.v1.OrderStepResent":
		return decode(data, &ordersv1.OrderStepResent{}, func(m *ordersv1.OrderStepResent) (order.Event, error) {
			return order.StepResent{Step: order.Step(m.GetStep()), Resends: m.GetResends(), Deadline: instant(m.GetDeadline())}, nil
		})
	case "orders.v1.OrderNeedsOperator":
		return decode(data, &ordersv1.OrderNeedsOperator{}, func(m *ordersv1.OrderNeedsOperator) (order.Event, error) {
			return order.OperatorNeeded{
				Detail: m.GetDetail(), Step: order.Step(m.GetStep()), Answer: m.GetAnswerVersion(), Undo: undo(m.GetUndo()),
			}, nil
		})
	case "orders.v1.OrderResumed":
		return decode(data, &ordersv1.OrderResumed{}, func(m *ordersv1.OrderResumed) (order.Event, error) {
			by := order.By{Operator: m.GetOperator(), Reason: m.GetReason()}
			return order.Resumed{By: by, Undo: undo(m.GetUndo()), Deadline: instant(m.GetDeadline())}, nil
		})
	case "orders.v1.OrderSettled":
		return decode(data, &ordersv1.OrderSettled{}, func(m *ordersv1.OrderSettled) (order.Event, error) {
			by := order.By{Operator: m.GetOperator(), Reason: m.GetReason()}
			return order.Settled{By: by, As: order.Status(m.GetStatus())}, nil
		})
	}
	return nil, fmt.Errorf("unknown event type %q", typ)
}

func placed(m *ordersv1.OrderPlaced) (order.Event, error) {
	id, err := ids.Parse(m.GetOrderId())
	if err != nil {
		return nil, fmt.Errorf("order_id: %w", err)
	}
	e := order.WasPlaced{
		ID: id, Customer: m.GetCustomerId(), Key: m.GetIdempotencyKey(), RequestHash: m.GetRequestHash(),
		Total: amount(m.GetTotal()), Country: m.GetCountry(), Deadline: instant(m.GetDeadline()),
		Lines: make([]order.Line, len(m.GetLines())),
	}
	for i, l := range m.GetLines() {
		e.Lines[i] = order.Line{SKU: l.GetSku(), Quantity: l.GetQuantity(), Price: amount(l.GetUnitPrice())}
	}
	return e, nil
}

// decode is generic so that each event's fields are read with their own type.
func decode[M proto.Message](data []byte, m M, read func(M) (order.Event, error)) (order.Event, error) {
	if err := proto.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("%s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	return read(m)
}

// undoProto lists steps in the order of undoing.
func undoProto(left order.Steps) (list []ordersv1.Step) {
	for ; left != 0; left = left.Without(left.Last()) {
		list = append(list, ordersv1.Step(left.Last()))
	}
	return list
}

func undo(list []ordersv1.Step) (steps order.Steps) {
	for _, s := range list {
		steps = steps.With(order.Step(s))
	}
	return steps
}

func moneyProto(m money.Money) *moneyv1.Money {
	return &moneyv1.Money{Currency: m.Currency, MinorUnits: m.Minor}
}

func amount(m *moneyv1.Money) money.Money {
	return money.Money{Currency: m.GetCurrency(), Minor: m.GetMinorUnits()}
}

func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func instant(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

// Needs is what orders does at Kafka.
func Needs() kafka.Needs {
	return kafka.Needs{
		Writes:   []string{OrderEvents, InventoryCommands, PaymentsCommands},
		Consumes: map[string][]string{Group: {InventoryEvents, PaymentsEvents}, ProductsGroup: {InventoryProducts}},
		Follows:  []string{OrderEvents},
		Watches:  participants(),
	}
}

// Topics are those that this service uses, as it would create them.
func Topics(partitions int32, replication int16) []kafka.Topic {
	topics := make([]kafka.Topic, 0, 6)
	for _, name := range []string{OrderEvents, InventoryCommands, InventoryEvents, PaymentsCommands, PaymentsEvents} {
		topics = append(topics, kafka.Topic{Name: name, Partitions: partitions, Replication: replication})
	}
	return append(topics, kafka.Topic{
		Name: InventoryProducts, Partitions: partitions, Replication: replication,
		Config: map[string]string{"cleanup.policy": "compact"},
	})
}
