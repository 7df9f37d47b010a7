package lease_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/ballast/pkg/lease"
	"example.com/ballast/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var migrations = fstest.MapFS{"00001_lease.sql": {Data: []byte("-- +goose Up\n" + lease.Schema)}}

const name = "work"

func candidate(pool *pgxpool.Pool, holder string, ttl time.Duration) *lease.Lease {
	l := lease.New(pool, name, holder, ttl)
	l.Logger = slog.New(slog.DiscardHandler)
	return l
}

// run starts the candidate and returns a function that stops it and waits.
func run(t *testing.T, l *lease.Lease, work func(context.Context, int64) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx, work) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// untilCancelled is work that reports its epoch and goes on until it is told.
func untilCancelled(epochs chan<- int64) func(context.Context, int64) error {
	return func(ctx context.Context, epoch int64) error {
		epochs <- epoch
		<-ctx.Done()
		return ctx.Err()
	}
}

func TestOneAtATimeAndEachInItsOwnEpoch(t *testing.T) {
	t.Parallel()
	pool := testkit.Postgres(t, migrations)
	var working atomic.Int32
	epochs := make(chan int64, 3)
	var stops []func()
	for _, holder := range []string{"a", "b", "c"} {
		stops = append(stops, run(t, candidate(pool, holder, time.Second), func(ctx context.Context, epoch int64) error {
			if working.Add(1) != 1 {
				t.Error("two work at once")
			}
			defer working.Add(-1)
			return untilCancelled(epochs)(ctx, epoch)
		}))
	}
	for want := int64(1); want <= 3; want++ {
		if got := <-epochs; got != want {
			t.Errorf("epoch %d; want %d", got, want)
		}
		// Stop whoever leads: the others don't mind being asked in any order.
		var holder string
		if err := pool.QueryRow(t.Context(), "select holder from lease").Scan(&holder); err != nil {
			t.Fatal(err)
		}
		stops[holder[0]-'a']()
	}
}

func TestLeaseOutlivesItsTTLWhileItIsRenewed(t *testing.T) {
	t.Parallel()
	pool := testkit.Postgres(t, migrations)
	epochs := make(chan int64, 10)
	run(t, candidate(pool, "a", time.Second), untilCancelled(epochs))
	<-epochs
	run(t, candidate(pool, "b", time.Second), untilCancelled(epochs))
	if _, err := pool.Exec(t.Context(), "select pg_sleep(2.5)"); err != nil {
		t.Fatal(err)
	}
	select {
	case e := <-epochs:
		t.Errorf("epoch %d began although the first leader was well", e)
	default:
	}
}

// While renewals hang, work is told to stop before the database frees the lease.
func TestWorkEndsBeforeTheLease(t *testing.T) {
	t.Parallel()
	pool := testkit.Postgres(t, migrations)
	epochs := make(chan int64, 10)
	expired := make(chan bool, 10)
	causes := make(chan error, 10)
	run(t, candidate(pool, "a", 2*time.Second), func(ctx context.Context, epoch int64) error {
		epochs <- epoch
		<-ctx.Done()
		causes <- context.Cause(ctx)
		var late bool
		// Not in the pool's own transaction: the row is locked, not unreadable.
		err := pool.QueryRow(context.WithoutCancel(ctx), "select expires_at <= clock_timestamp() from lease").Scan(&late)
		expired <- late
		return errors.Join(ctx.Err(), err)
	})
	<-epochs
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := tx.Exec(t.Context(), "select from lease for update"); err != nil {
		t.Fatal(err)
	}
	var cause error
	testkit.Eventually(t, "work is told to stop", func() bool {
		if _, err := tx.Exec(t.Context(), "select 1"); err != nil { // Idle sessions are ended.
			t.Fatal(err)
		}
		select {
		case cause = <-causes:
			return true
		default:
			return false
		}
	})
	if !errors.Is(cause, lease.ErrLost) {
		t.Errorf("cause: %v; want ErrLost", cause)
	}
	if <-expired {
		t.Error("the lease had expired before work was told to stop")
	}
}

func TestTakenOverLeaseIsLost(t *testing.T) {
	t.Parallel()
	pool := testkit.Postgres(t, migrations)
	epochs := make(chan int64, 10)
	run(t, candidate(pool, "a", time.Second), untilCancelled(epochs))
	<-epochs
	if _, err := pool.Exec(t.Context(), "update lease set epoch = epoch + 1, expires_at = now()"); err != nil {
		t.Fatal(err)
	}
	if got := <-epochs; got != 3 { // It learns of it, and is a candidate again.
		t.Errorf("epoch %d; want 3", got)
	}
}

func TestWorkThatEndsByItselfEndsRun(t *testing.T) {
	t.Parallel()
	pool := testkit.Postgres(t, migrations)
	broken := errors.New("broken")
	for _, want := range []error{nil, broken} {
		err := candidate(pool, "a", time.Second).Run(t.Context(), func(context.Context, int64) error { return want })
		if !errors.Is(err, want) {
			t.Errorf("Run: %v; want %v", err, want)
		}
	}
	var epoch int64
	if err := pool.QueryRow(t.Context(), "select epoch from lease").Scan(&epoch); err != nil || epoch != 2 {
		t.Errorf("epoch %d, %v; want 2: the lease was given back at once", epoch, err)
	}
}

// A check before the write would let this write through; the fence does not.
func TestFenceRefusesAStaleLeader(t *testing.T) {
	t.Parallel()
	pool := testkit.Postgres(t, migrations)
	if _, err := pool.Exec(t.Context(), `create table effects (n int)`); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), `insert into lease values ('work', 'a', 1, now() - interval '1 second')`); err != nil {
		t.Fatal(err)
	}
	write := func(epoch int64) error {
		b := &pgx.Batch{}
		lease.Fence(b, name, epoch)
		b.Queue(`insert into effects values ($1)`, epoch)
		return pool.SendBatch(t.Context(), b).Close()
	}
	if err := write(1); err != nil {
		t.Fatalf("the leader: %v", err)
	}
	// A successor is about to commit its acquisition while the old leader writes.
	takeover, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = takeover.Rollback(context.WithoutCancel(t.Context())) }() // After a failure.
	if _, err := takeover.Exec(t.Context(), `update lease set epoch = 2, holder = 'b'`); err != nil {
		t.Fatal(err)
	}
	stale := make(chan error, 1)
	go func() { stale <- write(1) }()
	const waiting = `select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`
	testkit.Eventually(t, "the old leader waits for the successor", func() bool {
		var n int
		// Not within the takeover: a transaction sees one snapshot of the activity.
		if err := pool.QueryRow(t.Context(), waiting).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n == 1
	})
	if err := takeover.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-stale; !lease.Stale(err) {
		t.Errorf("the old leader: %v; want it refused", err)
	}
	var effects int
	if err := pool.QueryRow(t.Context(), `select count(*) from effects`).Scan(&effects); err != nil || effects != 1 {
		t.Errorf("%d effects, %v; want 1", effects, err)
	}
}

// A process that was paused may find its work ended and its lease lost at the same
// moment: that is no reason to stop being a candidate.
func TestWorkThatEndsWithItsLeaseStartsOver(t *testing.T) {
	t.Parallel()
	lost, cancel := context.WithCancelCause(t.Context())
	cancel(lease.ErrLost)
	stopped, stop := context.WithCancel(t.Context())
	stop()
	broken := errors.New("broken")
	for _, c := range []struct {
		name string
		ctx  context.Context //nolint:containedctx // a case of the table
		err  error
		lost bool
		want error
	}{
		{"lost", lost, nil, true, nil},
		{"lost, and says so", lost, context.Canceled, true, nil},
		{"stopped", stopped, context.Canceled, false, nil},
		{"by itself", t.Context(), nil, false, nil},
		{"failed", t.Context(), broken, false, broken},
		{"cancelled something of its own", t.Context(), context.Canceled, false, context.Canceled},
	} {
		if lost, err := lease.Ended(c.ctx, c.err); lost != c.lost || !errors.Is(err, c.want) {
			t.Errorf("%s: lost %t, %v; want %t, %v", c.name, lost, err, c.lost, c.want)
		}
	}
}
