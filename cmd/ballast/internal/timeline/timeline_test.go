package timeline_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/types/known/timestamppb"

	"example.com/ballast/cmd/ballast/internal/api"
	"example.com/ballast/cmd/ballast/internal/timeline"
	ordersv1 "example.com/ballast/gen/orders/v1"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/stream"
)

// TestBuild: an order whose charge was tried twice, with every kind of step.
func TestBuild(t *testing.T) {
	t.Parallel()
	placed := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return placed.Add(time.Duration(ms) * time.Millisecond) }
	record := func(topic, typ string, version int64, said, written int, offset int64) *kgo.Record {
		m := message.New(topic, typ, "/s", "o-1", version, []byte{}, at(said))
		r := m.Record()
		r.Partition, r.Offset, r.Timestamp = 3, offset, at(written)
		return r
	}
	charge := record("payments.commands", "payments.v1.ChargePayment", 0, 20, 25, 8)
	retry := stream.ReplayRecord(charge, stream.Origin{Topic: "payments.commands", Partition: 3, Group: "payments", Reason: "fault", Message: "panic: boom"})
	retry.Partition, retry.Offset, retry.Timestamp = 3, 1, at(30)
	steps := timeline.Build(placed,
		[]*ordersv1.OrderEvent{
			{Version: 1, Type: "orders.v1.OrderPlaced", OccurTime: timestamppb.New(placed)},
			{Version: 2, Type: "orders.v1.OrderCharged", OccurTime: timestamppb.New(at(90))},
		},
		[]*kgo.Record{
			charge, retry,
			record("orders.events", "orders.v1.OrderPlaced", 1, 0, 4, 5),
			record("payments.events", "payments.v1.PaymentCharged", 1, 70, 72, 6),
			{Topic: "payments.events", Partition: 3, Offset: 9, Timestamp: at(99)},
		},
		[]api.BookLine{{TimeMilli: at(60).UnixMilli(), Kind: "captured", Intent: "pi_1", Amount: 100, Currency: "gbp", Lost: true}})
	ms := func(v float64) *float64 { return &v }
	want := []timeline.Step{
		{At: 0, Kind: timeline.Event, What: "OrderPlaced", Place: "orders.events/3/5", Outbox: ms(4)},
		{At: 20, Kind: timeline.Message, What: "ChargePayment", Place: "payments.commands/3/8", Outbox: ms(5), Answered: ms(45)},
		{At: 30, Kind: timeline.Aside, What: "ChargePayment", Place: "payments.commands.payments.retry/3/1", Detail: "fault, attempt 0: panic: boom"},
		{At: 60, Kind: timeline.Provider, What: "captured", Detail: "pi_1 100 GBP minor units, answered with a 500"},
		// Its event is not in a topic yet, so when it was answered is not known.
		{At: 70, Kind: timeline.Message, What: "PaymentCharged", Place: "payments.events/3/6", Outbox: ms(2)},
		{At: 90, Kind: timeline.Event, What: "OrderCharged"},
		{At: 99, Kind: timeline.Message, What: "no message", Place: "payments.events/3/9", Detail: "not readable"},
	}
	if diff := cmp.Diff(want, steps, cmpopts.IgnoreUnexported(timeline.Step{}), cmpopts.IgnoreFields(timeline.Step{}, "Time")); diff != "" {
		t.Error(diff)
	}
}
