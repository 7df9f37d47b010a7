package main

import (
	"context"
	"iter"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/ballast/pkg/config"
	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/lease"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/testkit"
	"example.com/ballast/services/payments/internal/payment"
	"example.com/ballast/services/payments/internal/postgres"
	"example.com/ballast/services/payments/internal/reconcile"
)

// oneIntent is a provider's book of one charge.
type oneIntent struct{ intents chan reconcile.Intent }

func (o oneIntent) look() reconcile.Intent {
	i := <-o.intents
	o.intents <- i
	return i
}

func (o oneIntent) Intents(_ context.Context, from, until time.Time) iter.Seq2[reconcile.Intent, error] {
	return func(yield func(reconcile.Intent, error) bool) {
		if i := o.look(); !i.Created.Before(from) && !i.Created.After(until) {
			yield(i, nil)
		}
	}
}

func (oneIntent) Refunds(context.Context, time.Time, time.Time) iter.Seq2[reconcile.Refund, error] {
	return func(func(reconcile.Refund, error) bool) {}
}

func (o oneIntent) Intent(context.Context, string) (reconcile.Intent, error) { return o.look(), nil }

// charged stores an order that was charged 100 an hour ago. The books were compared
// last an hour before that.
func charged(t *testing.T, pool *pgxpool.Pool, order string, at time.Time) {
	t.Helper()
	for sql, args := range map[string][]any{
		`insert into payments (order_id, status, currency, amount, version, charge_version, captured, intent_id, key_number, key_born_at,
			decline_code, attempts, trace, updated_at, lease_until)
			values ($1, 'CHARGED', 'GBP', 100, 2, 2, true, 'pi_1', 1, $2, '', 1, '', $2, $2)`: {order, at},
		`insert into ledger_entries (order_id, kind, account, currency, amount, posted_at) values
			($1, 'charge', 'provider_receivable', 'GBP', 100, $2), ($1, 'charge', 'customer_payments', 'GBP', -100, $2)`: {order, at},
		`update comparison set until_time = $1`: {at.Add(-time.Hour)},
	} {
		if _, err := pool.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTheNextLeaderKnowsTheBooks: a difference that is older than what a new leader
// looks back at is still reported after a change of leader, until it is mended. Who
// leads tells of the books and of the ledger's sums, and nobody else.
func TestTheNextLeaderKnowsTheBooks(t *testing.T) {
	t.Parallel()
	s, err := config.Parse[pg.Settings](map[string]string{"POSTGRES_URL": testkit.PostgresURL(t, postgres.Migrations())})
	if err != nil {
		t.Fatal(err)
	}
	wait := func(ctx context.Context, _ string, probe func(context.Context) error) error { return probe(ctx) }
	quiet := slog.New(slog.DiscardHandler)
	db, err := pg.Connect(t.Context(), s, pg.Config{App: "payments", KeyLookups: true, Logger: quiet}, nil, wait)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close(context.WithoutCancel(t.Context())) })
	pool, store := db.Work.Pool, postgres.New(db.Work.Pool, nil, nil)
	order, at := ids.New().String(), time.Now().Add(-time.Hour)
	charged(t, pool, order, at)
	provider := oneIntent{make(chan reconcile.Intent, 1)}
	provider.intents <- reconcile.Intent{ID: "pi_1", OrderID: order, Created: at, Currency: "GBP", Received: 99}

	start := func(name string) (metrics *testkit.Metrics, stop func()) {
		metrics = testkit.NewMetrics()
		measured := newBooks(metrics.Meter("test"))
		books := reconcile.New(reconcile.Config{Provider: provider, Book: store, Logger: quiet, Grace: time.Millisecond, Found: measured.found})
		aside, err := db.Aside("ledger", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		term, err := measured.term(20*time.Millisecond, books, sums(quiet, 20*time.Millisecond, aside))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- lease.New(pool, postgres.ReconcileLease, name, 2*time.Second).Run(ctx, term) }()
		return metrics, func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if err := aside.Close(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		}
	}
	// shows waits for what a process tells of the present: counters only grow, and an
	// age is a moment's.
	shows := func(who string, m *testkit.Metrics, want map[string]float64) {
		t.Helper()
		var diff string
		defer func() {
			if t.Failed() {
				t.Log(diff)
			}
		}()
		testkit.Eventually(t, who, func() bool {
			got, err := m.Values(t)
			delete(got, "payments.reconcile.runs")
			delete(got, "payments.reconcile.compared")
			if age, ok := got["payments.reconcile.age"]; ok && age < 60 {
				got["payments.reconcile.age"] = 0
			}
			diff = cmp.Diff(want, got)
			return err == nil && diff == ""
		})
	}
	knows := func(differences float64) map[string]float64 {
		return map[string]float64{
			"payments.ledger.imbalance{currency=GBP}": 0, "payments.ledger.entries": 2, "payments.reconcile.age": 0,
			"payments.reconcile.differences{kind=intent}": 0, "payments.reconcile.differences{kind=charge}": differences,
			"payments.reconcile.differences{kind=refund}": 0, "payments.reconcile.differences{kind=currency}": 0,
			"payments.reconcile.differences{kind=status}": 0,
		}
	}
	nothing := map[string]float64{}
	first, stopFirst := start("first")
	shows("the first leader", first, knows(1))
	second, stopSecond := start("second")
	shows("who does not lead", second, nothing)
	stopFirst()
	shows("who led", first, nothing)
	shows("the next leader", second, knows(1))
	i := <-provider.intents
	i.Received = 100
	provider.intents <- i
	shows("the next leader, after it was mended", second, knows(0))
	stopSecond()
	left, until, err := store.Suspects(t.Context(), 10)
	if len(left) > 0 || time.Since(until) > time.Minute || err != nil {
		t.Errorf("left are %v, compared until %s: %v", left, until, err)
	}
	// Who was paused must not put back what has been settled since.
	if err := store.Compared(t.Context(), 1, at, []payment.Suspect{{OrderID: order}}, nil); !lease.Stale(err) {
		t.Errorf("a former leader's write: %v", err)
	}
}
