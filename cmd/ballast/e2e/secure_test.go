//go:build apachekafka

package e2e_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	ordersv1 "example.com/ballast/gen/orders/v1"
	"example.com/ballast/pkg/kafka"
)

// TestLeastPrivilegeIsEnough: where every service has a user of its own at Apache
// Kafka, Redis and Postgres with the rights of docs/access.md and no others, an order
// is confirmed, a faulty one is set aside and dead-lettered, the operator replays it,
// what nobody can read is discarded, and the books agree. What these users can't do is
// tried in the package access.
func TestLeastPrivilegeIsEnough(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := startWith(t, []string{"--secure"}, "RETRY_DELAYS=200ms")
	p.stock(ctx, 10, "SECURE")
	place := func(key string) string {
		t.Helper()
		o, err := p.Place(ctx, "secure", key, request("SECURE"))
		if err != nil {
			t.Fatal(err)
		}
		return o.GetOrderId()
	}
	confirmed := func(id string) {
		t.Helper()
		if o := await(ctx, t, p, id); o.GetStatus() != ordersv1.OrderStatus_ORDER_STATUS_CONFIRMED {
			t.Errorf("the order is %s", o.GetStatus())
		}
	}
	confirmed(place("1"))

	p.panics(true)
	faulty := place("2")
	eventually(t, "the command is dead-lettered", func() bool { return p.letters("list", "--group", "payments") == 1 })
	p.panics(false)
	p.must("dlq", "replay", "--group", "payments", "--yes")
	confirmed(faulty)

	state, err := p.home.Running()
	if err != nil {
		t.Fatal(err)
	}
	login, err := p.home.KafkaLogin(state, "orders")
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(append(kafka.Options(state.Endpoints.Kafka, "test"), login.Options()...)...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	poison := &kgo.Record{Topic: "payments.commands", Key: []byte("poison"), Value: []byte("no message")}
	if err := client.ProduceSync(ctx, poison).FirstErr(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what can't be read is dead-lettered", func() bool { return p.letters("list") == 1 })
	p.must("dlq", "discard", "--reason", "a test", "--by", "ada", "--yes")
	if open, discarded := p.letters("list"), p.letters("list", "--discarded"); open != 0 || discarded != 1 {
		t.Errorf("%d open and %d discarded letters, want 0 and 1", open, discarded)
	}
	p.must("order", "show", faulty)
	p.must("reconcile")
}
