package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	inventoryv1 "example.com/ballast/gen/inventory/v1"
	"example.com/ballast/pkg/testkit"
)

// refusal is what a client that is no library of ours gets.
type refusal struct {
	status     int
	retryAfter string
	reason     string
	took       time.Duration
}

// ask asks over plain HTTP, with a deadline of its own.
func (b *bundle) ask(t *testing.T, method, deadline string) refusal {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		"http://"+b.cfg.ListenAddr+"/inventory.v1.InventoryService/"+method, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+b.token)
	req.Header.Set("Connect-Timeout-Ms", deadline)
	began := time.Now()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var body struct {
		Details []struct{ Debug struct{ Reason string } }
	}
	var text bytes.Buffer
	if _, err := text.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	_ = json.Unmarshal(text.Bytes(), &body) // An answer that is no error has no details.
	r := refusal{status: res.StatusCode, retryAfter: res.Header.Get("Retry-After"), took: time.Since(began)}
	if len(body.Details) > 0 {
		r.reason = body.Details[0].Debug.Reason
	}
	return r
}

// hold locks a table until the returned function lets go.
func (b *bundle) hold(t *testing.T, table string) (release func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), b.database.process.URL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "begin; lock table "+table+" in access exclusive mode"); err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	t.Cleanup(release)
	return release
}

// All connections of the API hang on a lock, and the consumer goes on; then the
// consumer hangs, and the API goes on.
func (b *bundle) testBulkheads(t *testing.T) {
	b.start(t)
	sku := testkit.Unique(t, "sku")
	b.load(t, sku, 10)
	lines := []*inventoryv1.StockLine{{Sku: sku, Quantity: 1}}
	events := b.records(t, "inventory.events")

	release := b.hold(t, "receipts")
	ctx, leave := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for range 16 {
		callers.Go(func() {
			for ctx.Err() == nil {
				_, _ = b.operator.ReceiveStock(ctx, &inventoryv1.ReceiveStockRequest{ReceiptId: "stuck", Lines: lines})
			}
		})
	}
	testkit.Eventually(t, "calls are refused, because those before them hang", func() bool {
		got := b.ask(t, "ListStock", "5000")
		return got.status == http.StatusServiceUnavailable && got.reason == "DEPENDENCY_UNAVAILABLE"
	})
	order := newOrder()
	b.send(t, order, &inventoryv1.ReserveStock{OrderId: order, Lines: lines})
	if got := answers(t, events.next(1, keyed(order))); got != "inventory.v1.StockReserved v1" {
		t.Errorf("with the API stuck: %s", got)
	}
	leave()
	release()
	callers.Wait()
	testkit.Eventually(t, "the API answers again", func() bool { return b.ask(t, "ListStock", "5000").status == http.StatusOK })

	release = b.hold(t, "movements")
	order = newOrder()
	b.send(t, order, &inventoryv1.ReserveStock{OrderId: order, Lines: lines})
	for range 20 {
		if got := b.ask(t, "ListProducts", "5000"); got.status != http.StatusOK {
			t.Errorf("with the consumer stuck: %+v", got)
		}
	}
	release()
	if got := answers(t, events.next(1, keyed(order))); got != "inventory.v1.StockReserved v1" {
		t.Errorf("after the consumer was stuck: %s", got)
	}
}

// Without Postgres calls are refused in time, then at once; what is cached is
// still read; the consumer keeps its batch; and all goes on by itself.
func (b *bundle) testPostgresAway(t *testing.T) {
	b.start(t)
	sku := testkit.Unique(t, "sku")
	b.load(t, sku, 10)
	product := &inventoryv1.GetProductRequest{Sku: sku}
	if _, err := b.customer.GetProduct(t.Context(), product); err != nil {
		t.Fatal(err)
	}
	b.database.stop(t)
	testkit.Eventually(t, "the breaker opens", func() bool {
		got := b.ask(t, "ListStock", "2000")
		if got.status != http.StatusServiceUnavailable || got.retryAfter == "" || got.took > 2500*time.Millisecond {
			t.Fatalf("postgres is away: %+v", got)
		}
		return got.reason == "DEPENDENCY_UNAVAILABLE"
	})
	var took []time.Duration
	for range 50 {
		took = append(took, b.ask(t, "ListStock", "2000").took)
	}
	slices.Sort(took)
	t.Logf("refused within %v at the median, %v at most", took[25], took[49])
	if took[25] > 20*time.Millisecond { // Single ones on an idle machine take less than one.
		t.Errorf("an open breaker refuses in %v at the median", took[25])
	}
	if _, err := b.customer.GetProduct(t.Context(), product); err != nil {
		t.Errorf("what is cached: %v", err)
	}
	order := newOrder()
	b.send(t, order, &inventoryv1.ReserveStock{OrderId: order, Lines: []*inventoryv1.StockLine{{Sku: sku, Quantity: 1}}})

	b.database.start(t)
	testkit.Eventually(t, "reads are answered again", func() bool { return b.ask(t, "ListStock", "2000").status == http.StatusOK })
	if got := answers(t, b.records(t, "inventory.events").next(1, keyed(order))); got != "inventory.v1.StockReserved v1" {
		t.Errorf("the command that came meanwhile: %s", got)
	}
	if dead := b.dead(t, order); dead {
		t.Error("a command was dead-lettered because Postgres was away")
	}
}

// A deadline of 200 ms against a lock: answered in time, and nothing of it goes on.
func (b *bundle) testDeadline(t *testing.T) {
	b.start(t)
	b.load(t, testkit.Unique(t, "sku"), 1)
	release := b.hold(t, "stock")
	got := b.ask(t, "ListStock", "200")
	if got.status != http.StatusGatewayTimeout || got.took > 600*time.Millisecond { // 201 ms on an idle machine
		t.Errorf("with a deadline of 200 ms: %+v", got)
	}
	var active int
	conn, err := pgx.Connect(t.Context(), b.database.process.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	const count = `select count(*) from pg_stat_activity where application_name = 'inventory-api' and state = 'active'`
	if err := conn.QueryRow(t.Context(), count).Scan(&active); err != nil || active != 0 {
		t.Errorf("%d statements go on, %v", active, err)
	}
	release()
	if got := b.ask(t, "ListStock", "5000"); got.status != http.StatusOK {
		t.Errorf("afterwards: %+v", got)
	}
}

// dead says whether a command of the order is in the dead-letter topic.
func (b *bundle) dead(t *testing.T, order string) bool {
	t.Helper()
	client, err := kgo.NewClient(append(b.cfg.Kafka.Options("test"),
		kgo.ConsumeTopics("inventory.commands.inventory.dlq"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	return slices.ContainsFunc(client.PollFetches(ctx).Records(), keyed(order))
}
