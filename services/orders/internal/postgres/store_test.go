package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/money"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/testkit"
	"example.com/ballast/services/orders/internal/events"
	"example.com/ballast/services/orders/internal/order"
	"example.com/ballast/services/orders/internal/postgres"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// bundle is a store on a database of its own, with a clock that stands still.
type bundle struct {
	*postgres.Store
	pool *pgxpool.Pool
	now  time.Time
}

func setup(t *testing.T) *bundle {
	t.Helper()
	migrations := postgres.Migrations()
	b := &bundle{pool: testkit.Postgres(t, migrations), now: time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.UTC)}
	b.Store = postgres.New(postgres.Config{
		Pool: b.pool, Codec: events.Codec{}, Committed: func(context.Context, []order.Change) {}, Now: func() time.Time { return b.now },
		Policy: order.Policy{ResendAfter: 30 * time.Second, MaxResends: 3, CompensateAfter: 10 * time.Minute},
	})
	products := []order.Product{{SKU: "A", Price: gbp(255), Version: 1}, {SKU: "B", Price: gbp(339), Version: 1}}
	if err := b.UpsertProducts(t.Context(), products); err != nil {
		t.Fatal(err)
	}
	return b
}

func gbp(minor int64) money.Money { return money.Money{Currency: "GBP", Minor: minor} }

func placement(customer, key string) order.Placement {
	return order.Placement{
		Customer: customer, Key: key, RequestHash: []byte("hash"), Country: "GB",
		Wanted: []order.Wanted{{SKU: "A", Quantity: 6}, {SKU: "B", Quantity: 1}}, Recipient: order.Recipient{Name: "Ada"},
	}
}

func (b *bundle) place(t *testing.T, p order.Placement) order.State {
	t.Helper()
	r := b.Place(t.Context(), []order.Placement{p})[0]
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	return r.Value
}

func (b *bundle) tell(t *testing.T, id ids.ID, f order.Fact) order.State {
	t.Helper()
	v, err := b.Tell(t.Context(), []order.Told{{Order: id, Fact: f}})
	if err != nil || v[0].Err != nil {
		t.Fatal(err, v[0].Err)
	}
	return v[0].State
}

// sent reads all messages of the outbox, in the order of the log.
func (b *bundle) sent(t *testing.T) []message.Message {
	t.Helper()
	rows, err := b.pool.Query(t.Context(), "select messages from outbox order by id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []message.Message
	for rows.Next() {
		var packed []byte
		if err := rows.Scan(&packed); err != nil {
			t.Fatal(err)
		}
		msgs, err := message.Unpack(packed)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, msgs...)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func types(msgs []message.Message) []string {
	names := make([]string, len(msgs))
	for i, m := range msgs {
		names[i] = m.Type
	}
	return names
}

// check compares each order's row with the fold of its events.
func (b *bundle) check(t *testing.T, orders ...ids.ID) {
	t.Helper()
	for _, id := range orders {
		history, err := b.History(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		fold := order.Fold(history)
		v, err := b.Tell(t.Context(), []order.Told{{Order: id, Fact: order.Answer{}}}) // decides nothing, returns the row
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(fold, v[0].State, cmpopts.IgnoreFields(order.State{}, "Lines")); diff != "" {
			t.Errorf("row of %s is not the fold of its events: %s", id, diff)
		}
		for i, r := range history {
			if r.Version != int64(i)+1 {
				t.Errorf("order %s: event %d has version %d", id, i, r.Version)
			}
		}
	}
}

func TestCheckout(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.place(t, placement("c", "k"))
	if o.Total != gbp(6*255+339) || o.Status != order.Placed || o.Version != 1 {
		t.Errorf("placed: %+v", o)
	}
	for _, a := range []order.Answer{
		{Step: order.Reserve, Outcome: order.Done, Version: 1},
		{Step: order.Charge, Outcome: order.Done, Version: 2},
		{Step: order.Ship, Outcome: order.Done, Version: 1},
		{Step: order.Ship, Outcome: order.Done, Version: 1}, // a duplicate
	} {
		b.tell(t, o.ID, a)
	}
	b.check(t, o.ID)
	want := []string{
		"orders.v1.OrderPlaced", "inventory.v1.ReserveStock", "orders.v1.OrderReserved", "payments.v1.ChargePayment",
		"orders.v1.OrderCharged", "inventory.v1.ScheduleShipment", "orders.v1.OrderConfirmed",
	}
	if diff := cmp.Diff(want, types(b.sent(t))); diff != "" {
		t.Errorf("messages: %s", diff)
	}
	view, err := b.Get(t.Context(), o.ID)
	if err != nil || view.Status != order.Confirmed || len(view.Lines) != 2 || view.Recipient.Name != "Ada" {
		t.Errorf("view: %+v, %v", view, err)
	}
}

func TestTheSameKeyIsTheSameOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.place(t, placement("c", "k"))
	b.tell(t, first.ID, order.Answer{Step: order.Reserve, Outcome: order.Done, Version: 1})
	if diff := cmp.Diff(first, b.place(t, placement("c", "k"))); diff != "" {
		t.Errorf("the repeated key gets another answer: %s", diff)
	}
	if other := b.place(t, placement("d", "k")); other.ID == first.ID {
		t.Error("two customers share an order")
	}
	changed := placement("c", "k")
	changed.RequestHash = []byte("another")
	if r := b.Place(t.Context(), []order.Placement{changed})[0]; !errors.Is(r.Err, order.ErrKeyReused) {
		t.Errorf("another request under the key: %v", r.Err)
	}
	expects := placement("c", "k2")
	expects.Expected = &money.Money{Currency: "GBP", Minor: 1}
	if r := b.Place(t.Context(), []order.Placement{expects})[0]; !errors.As(r.Err, new(*order.PriceChanged)) {
		t.Errorf("another total than expected: %v", r.Err)
	}
}

func TestOneBatchMixesGoodAndBad(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bad := placement("c", "bad")
	bad.Wanted = []order.Wanted{{SKU: "NONE", Quantity: 1}}
	reused := placement("c", "k")
	reused.RequestHash = []byte("another")
	results := b.Place(t.Context(), []order.Placement{placement("c", "k"), bad, placement("c", "k"), reused, placement("d", "k")})
	if results[0].Err != nil || results[2].Err != nil || results[4].Err != nil {
		t.Fatalf("good ones: %v %v %v", results[0].Err, results[2].Err, results[4].Err)
	}
	if !errors.As(results[1].Err, new(*order.Refusal)) || !errors.Is(results[3].Err, order.ErrKeyReused) {
		t.Errorf("bad ones: %v, %v", results[1].Err, results[3].Err)
	}
	if results[0].Value.ID != results[2].Value.ID || results[0].Value.ID == results[4].Value.ID {
		t.Error("keys of one batch are mixed up")
	}
	if n := len(b.sent(t)); n != 4 {
		t.Errorf("%d messages for two orders, want 4", n)
	}
}

// TestReplicasThatShareKeysStoreEachOnce lets several writers place the same
// keys at once, in different orders: each key is stored once, nobody deadlocks.
func TestReplicasThatShareKeysStoreEachOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const writers, keys = 6, 40
	var wg sync.WaitGroup
	got := make([]map[string]ids.ID, writers)
	for w := range writers {
		got[w] = map[string]ids.ID{}
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(w)))
			for _, chunk := range [][]int{r.Perm(keys), r.Perm(keys)} {
				var ps []order.Placement
				for _, k := range chunk[:keys/2] {
					ps = append(ps, placement("c", fmt.Sprint("k", k)))
				}
				results := b.Place(t.Context(), ps)
				for errors.Is(results[0].Err, pg.ErrConflict) { // the client is told to come again
					results = b.Place(t.Context(), ps)
				}
				for i, res := range results {
					if res.Err != nil {
						t.Errorf("writer %d: %v", w, res.Err)
					}
					got[w][ps[i].Key] = res.Value.ID
				}
			}
		})
	}
	wg.Wait()
	for w := 1; w < writers; w++ {
		for k, id := range got[w] {
			if first, seen := got[0][k]; seen && first != id {
				t.Errorf("key %s is order %s and order %s", k, first, id)
			}
		}
	}
	b.noDeadlocks(t)
}

func (b *bundle) noDeadlocks(t *testing.T) {
	t.Helper()
	var deadlocks int
	// The statistics of a backend are flushed at the latest when it ends.
	b.pool.Reset()
	if err := b.pool.QueryRow(t.Context(), "select deadlocks from pg_stat_database where datname = current_database()").Scan(&deadlocks); err != nil {
		t.Fatal(err)
	}
	if deadlocks > 0 {
		t.Errorf("%d deadlocks", deadlocks)
	}
}

// TestWritersThatRace tells the same orders contradicting facts from several
// sides at once, in batches of different order.
func TestWritersThatRace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const orders = 30
	list := make([]ids.ID, orders)
	for i := range list {
		list[i] = b.place(t, placement("c", fmt.Sprint(i))).ID
	}
	facts := []order.Fact{
		order.Answer{Step: order.Reserve, Outcome: order.Done, Version: 1},
		order.Cancel{},
		order.Answer{Step: order.Reserve, Outcome: order.Undone, Version: 2},
		order.Answer{Step: order.Charge, Outcome: order.Done, Version: 2},
	}
	var wg sync.WaitGroup
	for w, fact := range facts {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(2, uint64(w)))
			for range 5 {
				told := make([]order.Told, 0, orders)
				for _, i := range r.Perm(orders) {
					told = append(told, order.Told{Order: list[i], Fact: fact})
				}
				for {
					_, err := b.Tell(t.Context(), told)
					if err == nil {
						break
					}
					if !errors.Is(err, pg.ErrConflict) {
						t.Errorf("writer %d: %v", w, err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	b.check(t, list...)
	b.toldOnce(t, list...)
	b.noDeadlocks(t)
}

func TestSweepResendsAndGivesUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.place(t, placement("c", "k"))
	all := []order.Step{order.Reserve, order.Charge, order.Ship}
	sweep := func(steps ...order.Step) int {
		n, err := b.Sweep(t.Context(), 10, steps)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := sweep(all...); n != 0 {
		t.Errorf("%d orders swept before any deadline", n)
	}
	if steps, err := b.Overdue(t.Context()); len(steps) != 0 || err != nil {
		t.Errorf("overdue before any deadline: %v, %v", steps, err)
	}
	b.now = b.now.Add(31 * time.Second)
	if steps, err := b.Overdue(t.Context()); len(steps) != 1 || steps[0] != order.Reserve || err != nil {
		t.Errorf("overdue: %v, %v, want the reservation", steps, err)
	}
	if n := sweep(order.Charge, order.Ship); n != 0 {
		t.Errorf("%d orders swept while the command may be unread", n)
	}
	if n := sweep(all...); n != 1 {
		t.Errorf("%d orders swept, want 1", n)
	}
	msgs := b.sent(t)
	first, again := msgs[1], msgs[len(msgs)-1]
	if string(first.Value) != string(again.Value) || first.ID == again.ID || again.Type != "inventory.v1.ReserveStock" {
		t.Errorf("re-sent %+v, want the same command under a new id as %+v", again, first)
	}
	b.now = b.now.Add(11 * time.Minute)
	sweep(all...)
	b.check(t, o.ID)
	if v, _ := b.Get(t.Context(), o.ID); v.Status != order.Cancelling || v.Reason != order.TimedOut {
		t.Errorf("gives up in %v because of %v", v.Status, v.Reason)
	}
}

func TestPagesAndOwners(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 5 {
		b.place(t, placement("c", fmt.Sprint(i)))
		b.place(t, placement("d", fmt.Sprint(i)))
	}
	last := ids.ID{0: 0xff}
	seen := 0
	for {
		page, err := b.List(t.Context(), order.Filter{Customer: "c"}, last, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range page {
			seen++
			last = v.ID
			if v.Customer != "c" {
				t.Errorf("another customer's order: %+v", v)
			}
		}
		if len(page) < 2 {
			break
		}
	}
	if seen != 5 {
		t.Errorf("%d orders on all pages, want 5", seen)
	}
	if everybody, err := b.List(t.Context(), order.Filter{}, ids.ID{0: 0xff}, 100); len(everybody) != 10 || err != nil {
		t.Errorf("everybody has %d orders, %v", len(everybody), err)
	}
	if _, err := b.Get(t.Context(), ids.New()); !errors.Is(err, order.ErrNotFound) {
		t.Errorf("unknown order: %v", err)
	}
	if v, err := b.Tell(t.Context(), []order.Told{{Order: ids.New(), Fact: order.Cancel{}}}); err != nil || !errors.Is(v[0].Err, order.ErrNotFound) {
		t.Errorf("told about an unknown order: %v, %v", v, err)
	}
}

func TestProductsKeepTheHighestVersion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	upsert := func(ps ...order.Product) {
		if err := b.UpsertProducts(context.WithoutCancel(t.Context()), ps); err != nil {
			t.Fatal(err)
		}
	}
	upsert(order.Product{SKU: "A", Price: gbp(300), Version: 3}, order.Product{SKU: "A", Price: gbp(200), Version: 2})
	upsert(order.Product{SKU: "A", Price: gbp(100), Version: 1, Deleted: true})
	p := placement("c", "k")
	p.Wanted = []order.Wanted{{SKU: "A", Quantity: 1}}
	if o := b.place(t, p); o.Total != gbp(300) {
		t.Errorf("total is %s, want GBP 300", o.Total)
	}
}
