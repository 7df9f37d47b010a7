// Package events translates between messages and the payment's commands and
// answers: payments.commands in, payments.events out.
package events

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	moneyv1 "example.com/ballast/gen/money/v1"
	paymentsv1 "example.com/ballast/gen/payments/v1"
	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/money"
	"example.com/ballast/services/payments/internal/payment"
)

// Topics of payments, and its consumer group.
const (
	Commands = "payments.commands"
	Answers  = "payments.events"
	Group    = "payments"

	source = "/payments"
)

// Decode reads a command. Every error is a fault of the message itself.
func Decode(m message.Message) (payment.Command, error) {
	c := payment.Command{Trace: m.TraceParent}
	switch m.Type {
	case "payments.v1.ChargePayment":
		var in paymentsv1.ChargePayment
		if err := proto.Unmarshal(m.Value, &in); err != nil {
			return c, fmt.Errorf("decode %s: %w", m.Type, err)
		}
		c.OrderID = in.GetOrderId()
		c.Amount = money.Money{Currency: in.GetAmount().GetCurrency(), Minor: in.GetAmount().GetMinorUnits()}
	case "payments.v1.VoidPayment":
		var in paymentsv1.VoidPayment
		if err := proto.Unmarshal(m.Value, &in); err != nil {
			return c, fmt.Errorf("decode %s: %w", m.Type, err)
		}
		c.OrderID, c.Void = in.GetOrderId(), true
	default:
		return c, fmt.Errorf("%q is no command of payments", m.Type)
	}
	id, err := ids.Parse(c.OrderID)
	if err != nil {
		return c, fmt.Errorf("%s: order_id: %w", m.Type, err)
	}
	c.OrderID = id.String() // one spelling: it is the key of everything
	return c, nil
}

// Encode renders an answer. An unknown kind is an error: a silent one would
// leave the order waiting.
func Encode(a payment.Answer, trace string, now time.Time) (message.Message, error) {
	var out proto.Message
	switch a.Kind {
	case payment.AnswerCharged:
		out = &paymentsv1.PaymentCharged{
			OrderId: a.OrderID, Version: a.Version, Amount: amount(a.Amount), PaymentIntentId: a.IntentID,
		}
	case payment.AnswerDeclined:
		out = &paymentsv1.PaymentDeclined{
			OrderId: a.OrderID, Version: a.Version,
			Reason: paymentsv1.DeclineReason_DECLINE_REASON_DECLINED, Code: a.DeclineCode,
		}
	case payment.AnswerCancelled:
		out = &paymentsv1.PaymentDeclined{
			OrderId: a.OrderID, Version: a.Version, Reason: paymentsv1.DeclineReason_DECLINE_REASON_CANCELLED,
		}
	case payment.AnswerVoided:
		out = &paymentsv1.PaymentVoided{OrderId: a.OrderID, Version: a.Version}
	case payment.AnswerRefunded:
		out = &paymentsv1.PaymentRefunded{OrderId: a.OrderID, Version: a.Version, Amount: amount(a.Amount)}
	default:
		return message.Message{}, fmt.Errorf("answer of kind %d has no message", a.Kind)
	}
	value, err := proto.Marshal(out)
	if err != nil {
		return message.Message{}, fmt.Errorf("encode answer: %w", err)
	}
	name := string(out.ProtoReflect().Descriptor().FullName())
	m := message.New(Answers, name, source, a.OrderID, a.Version, value, now)
	m.TraceParent = trace
	return m, nil
}

func amount(m money.Money) *moneyv1.Money {
	return &moneyv1.Money{Currency: m.Currency, MinorUnits: m.Minor}
}

// Needs is what payments does at Kafka.
func Needs() kafka.Needs {
	return kafka.Needs{Writes: []string{Answers}, Consumes: map[string][]string{Group: {Commands}}}
}

// Topics are the topics that payments reads and writes.
func Topics(partitions int32, replication int16) []kafka.Topic {
	return []kafka.Topic{
		{Name: Commands, Partitions: partitions, Replication: replication},
		{Name: Answers, Partitions: partitions, Replication: replication},
	}
}
