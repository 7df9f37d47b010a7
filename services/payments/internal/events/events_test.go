package events_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"

	moneyv1 "example.com/ballast/gen/money/v1"
	paymentsv1 "example.com/ballast/gen/payments/v1"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/money"
	"example.com/ballast/pkg/stream"
	"example.com/ballast/services/payments/internal/events"
	"example.com/ballast/services/payments/internal/payment"
)

const order = "01936d5e-8f00-7000-8000-000000000001"

var gbp = money.Money{Currency: "GBP", Minor: 1250}

func command(t testing.TB, m proto.Message) message.Message {
	t.Helper()
	value, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	out := message.New(events.Commands, string(m.ProtoReflect().Descriptor().FullName()), "/orders", order, 0, value, time.Now())
	out.TraceParent = "trace"
	return out
}

func chargePayment(id string) *paymentsv1.ChargePayment {
	return &paymentsv1.ChargePayment{OrderId: id, Amount: &moneyv1.Money{Currency: "GBP", MinorUnits: 1250}}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	foreign := command(t, chargePayment(order))
	foreign.Type = "orders.v1.OrderPlaced"
	broken := command(t, chargePayment(order))
	broken.Value = []byte{0xff}
	for _, c := range []struct {
		name string
		in   message.Message
		want payment.Command
		ok   bool
	}{
		{"charge", command(t, chargePayment(order)), payment.Command{OrderID: order, Amount: gbp, Trace: "trace"}, true},
		{"void", command(t, &paymentsv1.VoidPayment{OrderId: order}), payment.Command{OrderID: order, Void: true, Trace: "trace"}, true},
		{"not an id", command(t, chargePayment("7")), payment.Command{}, false},
		{"another type", foreign, payment.Command{}, false},
		{"broken bytes", broken, payment.Command{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := events.Decode(c.in)
			if (err == nil) != c.ok {
				t.Fatalf("error is %v", err)
			}
			if diff := cmp.Diff(c.want, got); c.ok && diff != "" {
				t.Errorf("command (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("payments.v1.ChargePayment", command(f, chargePayment(order)).Value)
	f.Add("payments.v1.VoidPayment", []byte{})
	f.Fuzz(func(t *testing.T, typ string, value []byte) {
		c, err := events.Decode(message.Message{Type: typ, Value: value})
		if err == nil && len(c.OrderID) != 36 {
			t.Errorf("took the order id %q", c.OrderID)
		}
	})
}

func TestEncode(t *testing.T) {
	t.Parallel()
	gbpProto := &moneyv1.Money{Currency: "GBP", MinorUnits: 1250}
	full := payment.Answer{OrderID: order, Version: 2, Amount: gbp, IntentID: "pi_1", DeclineCode: "expired_card"}
	for kind, want := range map[payment.AnswerKind]proto.Message{
		payment.AnswerCharged: &paymentsv1.PaymentCharged{OrderId: order, Version: 2, Amount: gbpProto, PaymentIntentId: "pi_1"},
		payment.AnswerDeclined: &paymentsv1.PaymentDeclined{
			OrderId: order, Version: 2, Reason: paymentsv1.DeclineReason_DECLINE_REASON_DECLINED, Code: "expired_card",
		},
		payment.AnswerCancelled: &paymentsv1.PaymentDeclined{
			OrderId: order, Version: 2, Reason: paymentsv1.DeclineReason_DECLINE_REASON_CANCELLED,
		},
		payment.AnswerVoided:   &paymentsv1.PaymentVoided{OrderId: order, Version: 2},
		payment.AnswerRefunded: &paymentsv1.PaymentRefunded{OrderId: order, Version: 2, Amount: gbpProto},
	} {
		a := full
		a.Kind = kind
		m, err := events.Encode(a, "trace", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		got := want.ProtoReflect().New().Interface()
		if err := proto.Unmarshal(m.Value, got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("answer (-want +got):\n%s", diff)
		}
		if protoreflect.FullName(m.Type) != want.ProtoReflect().Descriptor().FullName() ||
			m.Topic != events.Answers || string(m.Key) != order || m.Version != 2 || m.TraceParent != "trace" {
			t.Errorf("envelope is %+v", m)
		}
	}
	if _, err := events.Encode(payment.Answer{}, "", time.Now()); err == nil {
		t.Error("no answer was encoded")
	}
}

func TestHandler(t *testing.T) {
	t.Parallel()
	good := stream.Record{Message: command(t, chargePayment(order))}
	bad := stream.Record{Message: command(t, chargePayment("7"))}
	var seen []payment.Command
	fail := error(nil)
	handle := events.Handler(func(_ context.Context, c []payment.Command) error {
		seen = c
		return fail
	})
	if err := handle(t.Context(), []stream.Record{good, bad}); err == nil || seen != nil {
		t.Errorf("a bad record went on: %v, %v", seen, err)
	}
	if err := handle(t.Context(), []stream.Record{good, good}); err != nil || len(seen) != 2 {
		t.Errorf("handled %v: %v", seen, err)
	}
	fail = &payment.Rejected{Index: 1, Err: payment.ErrAmountChanged}
	want := stream.Reject(1, payment.ErrAmountChanged).Error()
	if err := handle(t.Context(), []stream.Record{good, good}); err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
	fail = errors.New("the database is away")
	if err := handle(t.Context(), []stream.Record{good}); !errors.Is(err, fail) {
		t.Errorf("error is %v", err)
	}
}
