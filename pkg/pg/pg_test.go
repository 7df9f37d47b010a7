package pg_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/servers"
	"example.com/ballast/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var quiet = slog.New(slog.DiscardHandler)

func TestOpenSetsTheLimits(t *testing.T) {
	t.Parallel()
	pool, err := pg.Open(t.Context(), pg.Config{URL: testkit.PostgresURL(t, nil), App: "limits", StatementTimeout: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	for setting, want := range map[string]string{
		"application_name":                    "limits",
		"statement_timeout":                   "3s",
		"lock_timeout":                        "1s",
		"idle_in_transaction_session_timeout": "2s",
	} {
		var got string
		if err := pool.QueryRow(t.Context(), "select current_setting($1)", setting).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %q, %v; want %q", setting, got, err, want)
		}
	}
}

func TestOpenWaitsByNameForADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	port, err := servers.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	var log strings.Builder
	_, err = pg.Open(ctx, pg.Config{
		URL:    fmt.Sprintf("postgres://postgres@127.0.0.1:%d/shop", port),
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	place := fmt.Sprintf("waiting for postgres at 127.0.0.1:%d/shop", port)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), place) {
		t.Errorf("error %v; want %q", err, place)
	}
	if got := strings.Count(log.String(), place); got != 1 {
		t.Errorf("logged %d times; want once: %s", got, &log)
	}
}

func TestOpenRefusesAtOnceWhatWaitingCannotMend(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(testkit.PostgresURL(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/nowhere"
	for _, bad := range []string{u.String(), "postgres://host:port/x"} {
		if _, err := pg.Open(t.Context(), pg.Config{URL: bad, Logger: quiet}); err == nil {
			t.Errorf("%s was opened", bad)
		}
	}
}

func TestMigrateByManyAtOnce(t *testing.T) {
	t.Parallel()
	u := testkit.PostgresURL(t, nil)
	files := fstest.MapFS{
		"00001_a.sql": {Data: []byte("-- +goose Up\ncreate table a (n int);")},
		"00002_b.sql": {Data: []byte("-- +goose Up\ncreate table b (n int);")},
	}
	var g errgroup.Group
	for range 3 {
		g.Go(func() error { return pg.Migrate(t.Context(), u, files, quiet) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), "select from a, b"); err != nil {
		t.Error(err)
	}
}

func TestErrorClasses(t *testing.T) {
	t.Parallel()
	pool := testkit.Postgres(t, fstest.MapFS{"00001_t.sql": {Data: []byte(
		"-- +goose Up\ncreate table t (n int constraint t_small check (n < 10));")}})
	server := func(sql string) error {
		_, err := pool.Exec(t.Context(), sql)
		return err
	}
	timeout := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := pool.Exec(ctx, "select pg_sleep(5)")
		return err
	}
	connecting := func() error {
		_, err := pgx.Connect(t.Context(), "postgres://127.0.0.1:1/x")
		return err
	}
	closed := func() error {
		conn, err := pgx.ConnectConfig(t.Context(), pool.Config().ConnConfig)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err = conn.Exec(t.Context(), "select 1")
		return err
	}
	code := func(code string) error { return fmt.Errorf("write: %w", &pgconn.PgError{Code: code}) }
	for _, c := range []struct {
		name       string
		err        error
		transient  bool
		constraint string
	}{
		{name: "constraint", err: server("insert into t values (10)"), constraint: "t_small"},
		{name: "syntax", err: server("selec")},
		{name: "division", err: server("select 1/0")},
		{name: "statement timeout", err: server("set statement_timeout = '1ms'; select pg_sleep(5)"), transient: true},
		{name: "own deadline", err: timeout(), transient: true},
		{name: "refused connection", err: connecting(), transient: true},
		{name: "closed connection", err: closed(), transient: true},
		{name: "terminated", err: server("select pg_terminate_backend(pg_backend_pid())"), transient: true},
		{name: "deadlock", err: code("40P01"), transient: true},
		{name: "serialization", err: code("40001"), transient: true},
		{name: "lock timeout", err: code("55P03"), transient: true},
		{name: "disk full", err: code("53100"), transient: true},
		{name: "idle in transaction", err: code("25P03"), transient: true},
		{name: "version conflict", err: fmt.Errorf("order 1: %w", pg.ErrConflict), transient: true},
		{name: "version conflict by a constraint", err: fmt.Errorf("%w: %w", pg.ErrConflict, code("23505")), transient: true},
		{name: "anything else", err: errors.New("anything else")},
	} {
		if c.err == nil {
			t.Errorf("%s: there was no error", c.name)
			continue
		}
		if got := pg.Transient(c.err); got != c.transient {
			t.Errorf("%s: Transient(%v) = %v", c.name, c.err, got)
		}
		if got := pg.Constraint(c.err); got != c.constraint {
			t.Errorf("%s: Constraint(%v) = %q", c.name, c.err, got)
		}
		if pg.Transient(c.err) && pg.DataFault(c.err) {
			t.Errorf("%s: %v is blamed on the data, too", c.name, c.err)
		}
	}
	if pg.Transient(nil) || pg.Constraint(nil) != "" {
		t.Error("nil is an error")
	}
}

func TestRetry(t *testing.T) {
	t.Parallel()
	other := errors.New("other")
	deadlock := fmt.Errorf("write: %w", &pgconn.PgError{Code: "40P01"})
	guard := fmt.Errorf("%w: %w", pg.ErrConflict, &pgconn.PgError{Code: "23505"})
	for _, c := range []struct {
		name  string
		errs  []error // of the tries, one after the other
		tries int
		want  error
	}{
		{name: "success", errs: []error{nil}, tries: 1},
		{name: "conflicts, then success", errs: []error{pg.ErrConflict, deadlock, guard, nil}, tries: 4},
		{name: "conflicts for ever", errs: []error{deadlock, deadlock, deadlock, deadlock, nil}, tries: 4, want: deadlock},
		{name: "another error", errs: []error{other, nil}, tries: 1, want: other},
	} {
		tries := 0
		err := pg.Retry(t.Context(), func(context.Context) error {
			tries++
			return c.errs[tries-1]
		})
		if !errors.Is(err, c.want) || tries != c.tries {
			t.Errorf("%s: %v after %d tries; want %v after %d", c.name, err, tries, c.want, c.tries)
		}
	}
}

// Two transactions that lock two rows in opposite order: PostgreSQL ends one of
// them, and Retry runs it again.
func TestRetryHealsARealDeadlock(t *testing.T) {
	t.Parallel()
	u := testkit.PostgresURL(t, fstest.MapFS{"00001_t.sql": {Data: []byte(
		"-- +goose Up\ncreate table t (id int primary key, n int);\ninsert into t values (1, 0), (2, 0);")}})
	// Above deadlock_timeout, so that the deadlock is seen as what it is.
	pool, err := pg.Open(t.Context(), pg.Config{URL: u, LockTimeout: 4 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	met := make(chan struct{}, 2)
	add := func(first, second int) error {
		try := 0
		return pg.Retry(t.Context(), func(ctx context.Context) error {
			try++
			return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
				const add = "update t set n = n + 1 where id = $1"
				if _, err := tx.Exec(ctx, add, first); err != nil {
					return err
				}
				if try == 1 { // Both hold their first row before either goes on.
					met <- struct{}{}
					for len(met) < 2 {
						if _, err := tx.Exec(ctx, "select pg_sleep(0.01)"); err != nil {
							return err
						}
					}
				}
				_, err := tx.Exec(ctx, add, second)
				return err
			})
		})
	}
	var g errgroup.Group
	g.Go(func() error { return add(1, 2) })
	g.Go(func() error { return add(2, 1) })
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	var sum int
	if err := pool.QueryRow(t.Context(), "select sum(n) from t").Scan(&sum); err != nil || sum != 4 {
		t.Errorf("sum %d, %v; want 4", sum, err)
	}
}
