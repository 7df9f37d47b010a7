package e2e_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/cmd/ballast/internal/api"
	"example.com/ballast/cmd/ballast/internal/dlq"
	ordersv1 "example.com/ballast/gen/orders/v1"
	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/stream"
)

// deadLetters lets a ChargePayment die whose order is cancelled meanwhile, and a
// record that is no message. The first is replayed and charges nothing; the other
// is discarded.
func deadLetters(ctx context.Context, t *testing.T, p *platform) {
	const topic, group = "payments.commands", "payments"
	state, err := p.home.Running()
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(append(kafka.Options(state.Endpoints.Kafka, "test"),
		kgo.ConsumeTopics(topic), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	p.stock(ctx, 5, "DEAD")
	req := request("DEAD")
	req.ShipTo.Country = "KP" // Refused, so that it is charged and refunded.
	o, err := p.Place(ctx, "dead", "k", req)
	if err != nil {
		t.Fatal(err)
	}
	if done := await(ctx, t, p, o.GetOrderId()); done.GetStatus() != ordersv1.OrderStatus_ORDER_STATUS_CANCELLED {
		t.Fatalf("the order is %s", done.GetStatus())
	}
	before := movements(ctx, t, p, o.GetOrderId())
	poison := &kgo.Record{Topic: topic, Key: []byte("poison"), Value: []byte("no message")}
	letter := findCharge(ctx, t, client, o.GetOrderId())
	letter.Topic = kafka.DLQTopic(topic, group)
	for key, value := range map[string]string{stream.HeaderPartition: "0", stream.HeaderGroup: group, stream.HeaderException: stream.ReasonFault} {
		letter.Headers = append(letter.Headers, kgo.RecordHeader{Key: key, Value: []byte(value)})
	}
	if err := client.ProduceSync(ctx, poison, letter).FirstErr(); err != nil {
		t.Fatal(err)
	}

	eventually(t, "both are listed", func() bool { return p.letters("list") == 2 })
	if out, err := p.run("dlq", "replay", "--order", o.GetOrderId()); err == nil {
		t.Errorf("replayed without being asked: %s", out)
	}
	if out, err := p.run("dlq", "replay", "--order", o.GetOrderId(), "--yes"); err != nil {
		t.Fatalf("replay: %v\n%s", err, out)
	}
	adm := kadm.NewClient(client)
	eventually(t, "the group has handled it", func() bool {
		lag, err := kafka.Lag(ctx, adm, group)
		n := int64(0)
		for _, l := range lag[kafka.RetryTopic(topic, group)] {
			n += l
		}
		return err == nil && n == 0
	})
	if diff := cmp.Diff(before, movements(ctx, t, p, o.GetOrderId())); diff != "" || len(before) != 2 {
		t.Errorf("the provider's book of a cancelled order has changed: %v, %s", before, diff)
	}
	if n := p.letters("list"); n != 1 {
		t.Errorf("%d letters are left, want 1: the poison", n)
	}
	if out, err := p.run("dlq", "discard", "--where-reason", stream.ReasonMalformed, "--reason", "a test", "--by", "ada", "--yes"); err != nil {
		t.Fatalf("discard: %v\n%s", err, out)
	}
	if open, discarded := p.letters("list"), p.letters("list", "--discarded"); open != 0 || discarded != 1 {
		t.Errorf("%d open and %d discarded letters, want 0 and 1", open, discarded)
	}
	if out, err := p.run("dlq", "outbox", "list"); err != nil || out != "no dead rows\n" {
		t.Errorf("outboxes: %v %s", err, out)
	}
}

// findCharge reads the command that charged an order.
func findCharge(ctx context.Context, t *testing.T, client *kgo.Client, order string) *kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		for _, r := range client.PollFetches(ctx).Records() {
			for _, h := range r.Headers {
				if string(r.Key) == order && string(h.Value) == "payments.v1.ChargePayment" {
					return &kgo.Record{Key: r.Key, Value: r.Value, Headers: append(r.Headers, kgo.RecordHeader{Key: stream.HeaderTopic, Value: []byte(r.Topic)})}
				}
			}
		}
	}
	t.Fatal("the order's ChargePayment is not in its topic")
	return nil
}

// movements are the lines of an order in the provider's book.
func movements(ctx context.Context, t *testing.T, p *platform, order string) []api.BookLine {
	t.Helper()
	var lines []api.BookLine
	if err := p.EachBookLine(ctx, func(l api.BookLine) {
		if l.OrderID == order {
			lines = append(lines, l)
		}
	}); err != nil {
		t.Fatal(err)
	}
	return lines
}

// letters counts what a dlq command lists.
func (p *platform) letters(args ...string) int {
	p.t.Helper()
	out, err := p.run(append([]string{"dlq", "--json"}, args...)...)
	if err != nil {
		p.t.Fatalf("dlq %v: %v\n%s", args, err, out)
	}
	var found struct {
		Total   int
		Letters []dlq.Letter
	}
	if err := json.Unmarshal([]byte(out), &found); err != nil || len(found.Letters) != found.Total {
		p.t.Fatalf("dlq %v: %v\n%s", args, err, out)
	}
	return found.Total
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}
