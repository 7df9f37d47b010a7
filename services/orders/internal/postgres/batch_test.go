package postgres_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/testkit"
	"example.com/ballast/services/orders/internal/events"
	"example.com/ballast/services/orders/internal/order"
	"example.com/ballast/services/orders/internal/postgres"
)

// toldOnce checks that each version of the orders was published, once and in
// order: a writer that lost a race has published nothing.
func (b *bundle) toldOnce(t *testing.T, orders ...ids.ID) {
	t.Helper()
	told := map[string][]int64{}
	for _, m := range b.sent(t) {
		if m.Topic == events.OrderEvents {
			told[string(m.Key)] = append(told[string(m.Key)], m.Version)
		}
	}
	for _, id := range orders {
		history, err := b.History(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		var want []int64
		for _, r := range history {
			want = append(want, r.Version)
		}
		if diff := cmp.Diff(want, told[id.String()]); diff != "" {
			t.Errorf("versions of %s that were published: %s", id, diff)
		}
	}
}

// TestFactsOfOneOrderAreFolded: each fact of a batch is decided on what the
// ones before it have made of the order, and the order is written once.
func TestFactsOfOneOrderAreFolded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one, other := b.place(t, placement("c", "1")).ID, b.place(t, placement("c", "2")).ID
	reserved := order.Answer{Step: order.Reserve, Outcome: order.Done, Version: 1}
	charged := order.Answer{Step: order.Charge, Outcome: order.Done, Version: 2}
	verdicts, err := b.Tell(t.Context(), []order.Told{
		{Order: one, Fact: reserved}, {Order: other, Fact: reserved}, {Order: one, Fact: charged},
		{Order: one, Fact: reserved}, {Order: other, Fact: order.Cancel{}}, {Order: one, Fact: order.Cancel{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range verdicts {
		got = append(got, fmt.Sprint(v.State.Status, v.State.Version))
	}
	if diff := cmp.Diff([]string{"RESERVED 2", "RESERVED 2", "CHARGED 3", "CHARGED 3", "CANCELLING 3", "CANCELLING 4"}, got); diff != "" {
		t.Errorf("verdicts: %s", diff)
	}
	b.check(t, one, other)
	b.toldOnce(t, one, other)
}

// TestTheLoserDecidesAgain: between the reading and the writing of one writer
// another one cancels the order. The loser has neither stored nor published
// anything, and decides on what the winner has made of the order.
func TestTheLoserDecidesAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.place(t, placement("c", "k")).ID
	var first sync.Once
	cfg := b.Config
	cfg.Now = func() time.Time {
		first.Do(func() { b.tell(t, id, order.Cancel{}) })
		return b.now
	}
	reserved := order.Answer{Step: order.Reserve, Outcome: order.Done, Version: 1}
	verdicts, err := postgres.New(cfg).Tell(t.Context(), []order.Told{{Order: id, Fact: reserved}})
	if err != nil {
		t.Fatal(err)
	}
	if s := verdicts[0].State; s.Status != order.Cancelling || s.Version != 2 {
		t.Errorf("the loser has %v at version %d, want CANCELLING at 2", s.Status, s.Version)
	}
	b.check(t, id)
	b.toldOnce(t, id)
}

// TestTheLoserFindsTheWinnersOrder: between the looking up of a key and the
// insertion another replica places the same request.
func TestTheLoserFindsTheWinnersOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var first sync.Once
	var winner order.State
	cfg := b.Config
	cfg.Now = func() time.Time {
		first.Do(func() { winner = b.place(t, placement("c", "k")) })
		return b.now
	}
	results := postgres.New(cfg).Place(t.Context(), []order.Placement{placement("c", "k"), placement("c", "other")})
	for _, r := range results {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	if diff := cmp.Diff(winner, results[0].Value); diff != "" {
		t.Errorf("the loser has another order than the winner: %s", diff)
	}
	b.toldOnce(t, winner.ID, results[1].Value.ID)
}

// hold begins a transaction that keeps what sql locks until it is released.
func (b *bundle) hold(t *testing.T, sql string, args ...any) (tx pgx.Tx, release func()) {
	t.Helper()
	tx, err := b.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	release = func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }
	t.Cleanup(release)
	if _, err := tx.Exec(t.Context(), "set local idle_in_transaction_session_timeout = 0"); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
	return tx, release
}

// somebodyWaits returns when a transaction waits for a lock.
func (b *bundle) somebodyWaits(t *testing.T) {
	t.Helper()
	const waiting = `select count(*) > 0 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`
	testkit.Eventually(t, "somebody waits for the lock", func() (waits bool) {
		if err := b.pool.QueryRow(t.Context(), waiting).Scan(&waits); err != nil {
			t.Fatal(err)
		}
		return waits
	})
}

// TestLocksAreTakenInOrder: a batch that waits for the first of its orders
// holds none of the others, in whatever order their facts came and rows lie.
func TestLocksAreTakenInOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var list []ids.ID
	for i := range 5 {
		list = append(list, b.place(t, placement("c", fmt.Sprint(i))).ID)
	}
	if _, err := b.pool.Exec(t.Context(), "update orders set detail = 'moved' where order_id = $1", list[0]); err != nil {
		t.Fatal(err)
	}
	_, release := b.hold(t, "select from orders where order_id = $1 for update", list[0])
	told := make(chan error, 1)
	go func() {
		var facts []order.Told
		for _, i := range []int{3, 0, 4, 2, 1} {
			facts = append(facts, order.Told{Order: list[i], Fact: order.Cancel{}})
		}
		_, err := b.Tell(t.Context(), facts)
		told <- err
	}()
	b.somebodyWaits(t)
	const others = "select from orders where order_id = any($1) for update nowait"
	if _, err := b.pool.Exec(t.Context(), others, list[1:]); err != nil {
		t.Errorf("the batch that waits for the first order holds others: %v", err)
	}
	release()
	if err := <-told; err != nil && !pg.Transient(err) { // It waits for lock_timeout at most.
		t.Error(err)
	}
}

// TestKeysAreInsertedInOrder: a batch that waits for the first of its keys has
// inserted none of the others, in whatever order the requests came.
func TestKeysAreInsertedInOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.place(t, placement("c", "any"))
	const insert = `insert into orders select (jsonb_populate_record(o,
		jsonb_build_object('order_id', gen_random_uuid(), 'idempotency_key', key))).*
		from orders o, unnest($1::text[]) key where o.idempotency_key = 'any'`
	_, release := b.hold(t, insert, []string{"k0"})
	placed := make(chan error, 1)
	go func() {
		r := b.Place(t.Context(), []order.Placement{placement("c", "k2"), placement("c", "k1"), placement("c", "k0")})
		placed <- r[0].Err
	}()
	b.somebodyWaits(t)
	others, forget := b.hold(t, "set local lock_timeout = '100ms'")
	if _, err := others.Exec(t.Context(), insert, []string{"k1", "k2"}); err != nil {
		t.Errorf("the batch that waits for k0 holds others: %v", err)
	}
	forget()
	release()
	if err := <-placed; err != nil && !pg.Transient(err) { // It waits for lock_timeout at most.
		t.Error(err)
	}
}
