package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/metric/noop"

	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/money"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/testkit"
	"example.com/ballast/services/payments/internal/events"
	"example.com/ballast/services/payments/internal/executor"
	"example.com/ballast/services/payments/internal/payment"
	"example.com/ballast/services/payments/internal/postgres"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var amount = money.Money{Currency: "GBP", Minor: 1250}

// bundle is one database with what works on it.
type bundle struct {
	t           *testing.T
	pool        *pgxpool.Pool
	store       *postgres.Store
	lease, call time.Duration // of the executor
}

func newBundle(t *testing.T) bundle {
	t.Helper()
	pool := testkit.Postgres(t, postgres.Migrations())
	return bundle{t: t, pool: pool, store: postgres.New(pool, events.Encode, func() {}), lease: testLease, call: testCall}
}

// testLease is short, so that takeovers come soon, and testCall fits into it.
const (
	testLease = 400 * time.Millisecond
	testCall  = 100 * time.Millisecond
)

// start runs an executor until stop, or the end of the test.
func (b bundle) start(store executor.Store, gateway executor.Gateway) (exec *executor.Executor, stop func()) {
	b.t.Helper()
	exec = executor.New(executor.Config{
		Store: store, Gateway: gateway, Logger: slog.New(slog.DiscardHandler), Meter: noop.Meter{}, Transient: pg.Transient,
		Concurrency: 8, MaxOpen: 256, Lease: b.lease, CallTimeout: b.call, Poll: 10 * time.Millisecond,
	})
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan error, 1)
	go func() { done <- exec.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Error(err)
		}
	})
	b.t.Cleanup(stop)
	return exec, stop
}

func (b bundle) command(exec *executor.Executor, commands ...payment.Command) {
	b.t.Helper()
	leased := time.Now()
	opened, err := b.store.Record(b.t.Context(), commands, b.lease)
	if err != nil {
		b.t.Fatal(err)
	}
	exec.Offer(b.t.Context(), opened, leased)
}

func (b bundle) get(order string) payment.Payment {
	b.t.Helper()
	p, err := b.store.Get(b.t.Context(), order)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// settled waits for the orders' payments. Waits longer than two leases, which faults
// in a row bring about, are cut short: a test has no half minute.
func (b bundle) settled(orders ...string) {
	b.t.Helper()
	const hurry = `update payments set lease_until = now()
		where status in ('PENDING', 'VOIDING') and lease_until > now() + 2 * $1::interval`
	testkit.Eventually(b.t, "all payments are settled", func() bool {
		if _, err := b.pool.Exec(b.t.Context(), hurry, b.lease); err != nil {
			b.t.Fatal(err)
		}
		for _, o := range orders {
			if b.get(o).Status.Open() {
				return false
			}
		}
		return true
	})
}

// answers returns the types of the order's answers, in order.
func (b bundle) answers(order string) (types []string) {
	b.t.Helper()
	rows, err := b.pool.Query(b.t.Context(), "select messages from outbox order by id")
	if err != nil {
		b.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var packed []byte
		if err := rows.Scan(&packed); err != nil {
			b.t.Fatal(err)
		}
		messages, err := message.Unpack(packed)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, m := range messages {
			if string(m.Key) == order {
				types = append(types, m.Type)
			}
		}
	}
	return types
}

// agrees compares payment, ledger and the bank's book of one order.
func (b bundle) agrees(order string, p *bank) {
	b.t.Helper()
	accounts, err := b.store.Accounts(b.t.Context(), []string{order})
	if err != nil {
		b.t.Fatal(err)
	}
	a := accounts[order]
	captures, taken, refunded := p.moved(order)
	switch {
	case captures > 1:
		b.t.Errorf("order %s was captured %d times", order, captures)
	case a.Charged != taken || a.Refunded != refunded:
		b.t.Errorf("order %s: the ledger says %d and %d, the bank %d and %d", order, a.Charged, a.Refunded, taken, refunded)
	case (a.Payment.Status == payment.Charged) != (taken > refunded):
		b.t.Errorf("order %s is %s, the bank holds %d", order, a.Payment.Status, taken-refunded)
	}
}

func TestCharge(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.lease, b.call = time.Minute, 10*time.Second // On a busy machine too nothing is done twice.
	p := newBank(1, 0)
	exec, _ := b.start(b.store, p)
	order := ids.New().String()
	b.command(exec, payment.Command{OrderID: order, Amount: amount})
	b.settled(order)
	b.agrees(order, p)
	if got := b.answers(order); len(got) != 1 || got[0] != "payments.v1.PaymentCharged" {
		t.Errorf("answers are %v", got)
	}
	if p.calls != 2 {
		t.Errorf("a charge took %d calls, want 2", p.calls)
	}
	b.command(exec, payment.Command{OrderID: order, Void: true})
	b.settled(order)
	b.agrees(order, p)
	if got := b.get(order); got.Status != payment.Refunded {
		t.Errorf("the voided payment is %s", got.Status)
	}
}

// mortal is a store and a gateway of a process that dies at a certain step: from
// then on nothing that it does reaches anybody.
type mortal struct {
	*postgres.Store
	bank    *bank
	left    atomic.Int64 // steps until death
	halfway bool         // the last step is done, and its answer lost
}

var errDead = errors.New("the process has died")

func (m *mortal) Save(ctx context.Context, changes []payment.Change) ([]bool, error) {
	left := m.left.Add(-1)
	if left < 0 && !(left == -1 && m.halfway) {
		return nil, errDead
	}
	stored, err := m.Store.Save(ctx, changes)
	if left < 0 {
		return nil, errDead
	}
	return stored, err
}

func (m *mortal) Claim(context.Context, int, time.Duration) ([]payment.Payment, error) {
	return nil, errDead
}

func (m *mortal) Do(ctx context.Context, c payment.Call) payment.Result {
	left := m.left.Add(-1)
	if left < 0 && !(left == -1 && m.halfway) {
		return payment.Result{}
	}
	r := m.bank.Do(ctx, c)
	if left < 0 {
		return payment.Result{}
	}
	return r
}

// TestDeathBetweenSteps lets a process die before, and in the middle of, each of
// its steps: call, save, call, save. Another takes over when the lease expires.
func TestDeathBetweenSteps(t *testing.T) {
	t.Parallel()
	for steps := range 5 {
		for _, halfway := range []bool{false, true} {
			for _, void := range []bool{false, true} {
				t.Run(fmt.Sprintf("after %d, halfway %t, void %t", steps, halfway, void), func(t *testing.T) {
					t.Parallel()
					b := newBundle(t)
					p := newBank(1, 0)
					m := &mortal{Store: b.store, bank: p, halfway: halfway}
					m.left.Store(int64(steps))
					dying, _ := b.start(m, m)
					order := ids.New().String()
					b.command(dying, payment.Command{OrderID: order, Amount: amount})
					testkit.Eventually(t, "the process is dead", func() bool { return m.left.Load() < 0 || !b.get(order).Status.Open() })
					heir, _ := b.start(b.store, p)
					if void {
						b.command(heir, payment.Command{OrderID: order, Void: true})
					}
					b.settled(order)
					b.agrees(order, p)
					want := payment.Charged
					if captures, _, _ := p.moved(order); void && captures > 0 {
						want = payment.Refunded
					} else if void {
						want = payment.Voided
					}
					if got := b.get(order).Status; got != want {
						t.Errorf("the payment is %s, want %s", got, want)
					}
				})
			}
		}
	}
}

// TestTwoExecutorsAtOnce gives the same leases to both.
func TestTwoExecutorsAtOnce(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	p := newBank(2, 0.2)
	one, _ := b.start(b.store, p)
	two, _ := b.start(b.store, p)
	var commands []payment.Command
	var orders []string
	for range 100 {
		orders = append(orders, ids.New().String())
		commands = append(commands, payment.Command{OrderID: orders[len(orders)-1], Amount: amount})
	}
	leased := time.Now()
	opened, err := b.store.Record(t.Context(), commands, testLease)
	if err != nil {
		t.Fatal(err)
	}
	one.Offer(t.Context(), opened, leased)
	two.Offer(t.Context(), opened, leased)
	b.settled(orders...)
	for _, o := range orders {
		b.agrees(o, p)
		if got := b.answers(o); len(got) != 1 {
			t.Errorf("order %s was answered %v", o, got)
		}
	}
}

// TestStorm mixes charges, voids, repeats, a provider that fails a third of the
// time, and executors that come and go.
// awayBank never takes a call.
type awayBank struct{}

func (awayBank) Do(context.Context, payment.Call) payment.Result {
	return payment.Result{Outcome: payment.NotYet}
}

// While the provider is away, the open payments wait in the database, not in
// memory. They are the backpressure all the same.
func TestAProviderThatIsAwayFillsUp(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	exec, _ := b.start(b.store, awayBank{})
	var commands []payment.Command
	for range 255 {
		commands = append(commands, payment.Command{OrderID: ids.New().String(), Amount: amount})
	}
	b.command(exec, commands...)
	testkit.Eventually(t, "all calls are put off", func() bool { return exec.Open() == 0 })
	if exec.Full() {
		t.Error("full with 255 open payments of 256")
	}
	b.command(exec, payment.Command{OrderID: ids.New().String(), Amount: amount})
	testkit.Eventually(t, "the consumer is told to pause", exec.Full)
}

func TestStorm(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	p := newBank(3, 0.3)
	random := rand.New(rand.NewPCG(3, 3)) //nolint:gosec // a test's dice
	var orders []string
	for range 60 {
		orders = append(orders, ids.New().String())
	}
	voided := map[string]bool{}
	exec, stop := b.start(b.store, p)
	for i := range 40 {
		var commands []payment.Command
		for range 1 + random.IntN(20) {
			o := orders[random.IntN(len(orders))]
			c := payment.Command{OrderID: o, Amount: amount, Void: random.IntN(5) == 0}
			voided[o] = voided[o] || c.Void
			commands = append(commands, c)
		}
		b.command(exec, commands...)
		if i%8 == 7 {
			stop()
			exec, stop = b.start(b.store, p)
		}
	}
	for _, o := range orders {
		b.command(exec, payment.Command{OrderID: o, Amount: amount})
	}
	b.settled(orders...)
	for _, o := range orders {
		b.agrees(o, p)
		if s := b.get(o).Status; voided[o] != (s == payment.Voided || s == payment.Refunded) {
			t.Errorf("order %s is %s, voided: %t", o, s, voided[o])
		}
	}
	if p.lost == 0 {
		t.Error("the provider never failed")
	}
}

// TestVoidDuringCharge voids while the confirmation is at the provider.
func TestVoidDuringCharge(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	p := newBank(4, 0)
	arrived, proceed := make(chan struct{}), make(chan struct{})
	letGo := sync.OnceFunc(func() { close(proceed) })
	defer letGo()
	var once sync.Once
	p.before = func(c payment.Call) {
		if c.Operation == payment.Confirm {
			once.Do(func() { close(arrived); <-proceed })
		}
	}
	exec, _ := b.start(b.store, p)
	order := ids.New().String()
	b.command(exec, payment.Command{OrderID: order, Amount: amount})
	<-arrived
	b.command(exec, payment.Command{OrderID: order, Void: true})
	b.settled(order)
	letGo() // the late confirmation meets a canceled intent
	if got := b.get(order).Status; got != payment.Voided {
		t.Errorf("the payment is %s", got)
	}
	testkit.Eventually(t, "the executor holds nothing", func() bool { return exec.Open() == 0 })
	b.agrees(order, p)
}

// TestOnlyTheStoredIntentIsConfirmed: another executor's intent is stored while
// this one creates its own, as after a key has expired.
func TestOnlyTheStoredIntentIsConfirmed(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	p := newBank(6, 0)
	var once sync.Once
	p.before = func(c payment.Call) {
		if c.Operation != payment.Create {
			return
		}
		once.Do(func() {
			other := c
			other.Key = "another key"
			stored := c.Payment
			p.mu.Lock()
			stored.IntentID = p.execute(other, false, false).IntentID
			p.mu.Unlock()
			if ok, err := b.store.Save(t.Context(), []payment.Change{{From: 1, Payment: stored}}); err != nil || !ok[0] {
				t.Errorf("the other intent was not stored: %v", err)
			}
		})
	}
	exec, _ := b.start(b.store, p)
	order := ids.New().String()
	b.command(exec, payment.Command{OrderID: order, Amount: amount})
	b.settled(order)
	b.agrees(order, p)
	if got := b.get(order); got.Status != payment.Charged || got.IntentID != "pi_0" {
		t.Errorf("the payment is %s with %s", got.Status, got.IntentID)
	}
}

func TestStoppingGivesLeasesBack(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	p := newBank(5, 0)
	proceed := make(chan struct{})
	p.before = func(payment.Call) { <-proceed }
	exec, stop := b.start(b.store, p)
	var commands []payment.Command
	for range 50 {
		commands = append(commands, payment.Command{OrderID: ids.New().String(), Amount: amount})
	}
	leased := time.Now()
	opened, err := b.store.Record(t.Context(), commands, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	exec.Offer(t.Context(), opened, leased)
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()
	time.AfterFunc(20*time.Millisecond, func() { close(proceed) })
	<-stopped
	last := payment.Command{OrderID: ids.New().String(), Amount: amount}
	if opened, err = b.store.Record(t.Context(), []payment.Command{last}, time.Hour); err != nil {
		t.Fatal(err)
	}
	exec.Offer(t.Context(), opened, time.Now()) // a batch that is committed while the process stops
	commands = append(commands, last)
	free, err := b.store.Claim(t.Context(), 100, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if len(free) != len(commands) {
		t.Errorf("%d of %d leases were given back", len(free), len(commands))
	}
}
