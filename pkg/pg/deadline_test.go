package pg_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/testkit"
)

// locked returns a pool of four connections on a database with one row, which
// somebody else holds locked until the test ends.
func locked(t *testing.T) *pgxpool.Pool {
	t.Helper()
	url := testkit.PostgresURL(t, nil)
	pool, err := pg.Open(t.Context(), pg.Config{URL: url, App: "deadlines", MaxConns: 4, LockTimeout: time.Minute, StatementTimeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	other, err := pg.Open(t.Context(), pg.Config{URL: url, App: "other", IdleTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	if _, err := other.Exec(t.Context(), `create table row (n int); insert into row values (1)`); err != nil {
		t.Fatal(err)
	}
	tx, err := other.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `select from row for update`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) })
	// All connections are there before the storm: new ones are what it would make.
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { _, _ = pool.Exec(t.Context(), `select pg_sleep(0.1)`) })
	}
	wg.Wait()
	return pool
}

// active counts the statements of the pool that the server still works on.
func active(t *testing.T, pool *pgxpool.Pool) (n int) {
	t.Helper()
	const count = `select count(*) from pg_stat_activity where datname = current_database() and application_name = 'deadlines' and state = 'active' and pid <> pg_backend_pid()`
	if err := pool.QueryRow(t.Context(), count).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestADeadlineEndsTheStatementAndKeepsTheConnection(t *testing.T) {
	t.Parallel()
	pool := locked(t)
	before := pool.Stat().NewConnsCount()
	var wg sync.WaitGroup
	for range 12 { // Three calls for each connection, so that all are used again.
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			began := time.Now()
			_, err := pool.Exec(ctx, `select from row for update`)
			// Well within the second that the lock may take, on a busy machine as well.
			if took := time.Since(began); took > 600*time.Millisecond {
				t.Errorf("answered after %v", took)
			}
			if at, _ := ctx.Deadline(); err == nil || time.Now().Before(at) || !pg.Transient(err) {
				t.Errorf("%v, %v before the deadline", err, time.Until(at))
			}
		})
	}
	wg.Wait()
	if n := active(t, pool); n != 0 {
		t.Errorf("%d statements go on without their callers", n)
	}
	if made := pool.Stat().NewConnsCount() - before; made != 0 {
		t.Errorf("%d connections were made anew", made)
	}
	// Who has time gets all of it on the same connections.
	var timeout string
	for range 4 {
		if err := pool.QueryRow(t.Context(), `select current_setting('statement_timeout')`).Scan(&timeout); err != nil || timeout != "20s" {
			t.Errorf("statement_timeout = %q, %v; want 20s", timeout, err)
		}
	}
}

func TestACallerWhoLeavesCancelsTheStatement(t *testing.T) {
	t.Parallel()
	pool := locked(t)
	before := pool.Stat().NewConnsCount()
	ctx, leave := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, leave)
	if _, err := pool.Exec(ctx, `select from row for update`); err == nil {
		t.Error("no error")
	}
	if n := active(t, pool); n != 0 {
		t.Errorf("%d statements go on without their callers", n)
	}
	if made := pool.Stat().NewConnsCount() - before; made != 0 {
		t.Errorf("%d connections were made anew", made)
	}
}
