package pg_test

import (
	"context"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/ballast/pkg/config"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/testkit"
)

// setupMetrics opens both halves of a database of the test's own. silence cuts the
// connections off that there are. The test must not be parallel: the meter provider
// is the process's.
func setupMetrics(t *testing.T) (db *pg.Pools, metrics *testkit.Metrics, silence func()) {
	t.Helper()
	metrics = testkit.GlobalMetrics(t)
	u, err := url.Parse(testkit.PostgresURL(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	u.Host, silence = testkit.Silenced(t, u.Host)
	s, err := config.Parse[pg.Settings](map[string]string{"POSTGRES_URL": u.String()})
	if err != nil {
		t.Fatal(err)
	}
	wait := func(ctx context.Context, _ string, probe func(context.Context) error) error { return probe(ctx) }
	db, err = pg.Connect(t.Context(), s, pg.Config{App: "shop", Logger: quiet}, nil, wait)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return db, metrics, silence
}

// values also sees that nobody waits for the database who looks at them.
func values(t *testing.T, m *testkit.Metrics) map[string]float64 {
	t.Helper()
	began := time.Now()
	got, err := m.Values(t)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 500*time.Millisecond {
		t.Fatalf("the metrics took %s", took)
	}
	return got
}

func TestEachPoolIsSeen(t *testing.T) {
	db, metrics, _ := setupMetrics(t)
	held, err := db.API.Pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	got := values(t, metrics)
	for name, want := range map[string]float64{"shop-api": 5, "shop-work": 6} {
		pool := "{db.client.connection.pool.name=" + name + ",db.system.name=postgresql}"
		if n := got["pgxpool.max_connections"+pool]; n != want {
			t.Errorf("%s may have %v connections, want %v", name, n, want)
		}
	}
	if n := got["pgxpool.acquired_connections{db.client.connection.pool.name=shop-api,db.system.name=postgresql}"]; n != 1 {
		t.Errorf("%v acquired, want 1", n)
	}
	if t.Failed() {
		t.Log(got)
	}
}

// TestStatementsAreCounted: each of a batch, and what begins and ends a transaction.
func TestStatementsAreCounted(t *testing.T) {
	db, metrics, _ := setupMetrics(t)
	const name = "pg.statements{pool=shop-api}"
	before := values(t, metrics)[name]
	b := &pgx.Batch{}
	for range 3 {
		b.Queue(`select 1`)
	}
	if err := db.API.Pool.SendBatch(t.Context(), b).Close(); err != nil {
		t.Fatal(err)
	}
	err := pgx.BeginFunc(t.Context(), db.API.Pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `select 1`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := values(t, metrics)[name] - before; n != 6 {
		t.Errorf("%v statements, want 3 of the batch and 3 of the transaction", n)
	}
}

const (
	oldestIdle   = "pg.transaction.oldest{state=idle}"
	oldestActive = "pg.transaction.oldest{state=active}"
	retained     = "pg.replication.slots.retained"
)

// healthBecomes waits for the figures that are above zero.
func healthBecomes(t *testing.T, m *testkit.Metrics, want map[string]bool) {
	t.Helper()
	var diff string
	defer func() {
		if t.Failed() {
			t.Log(diff)
		}
	}()
	testkit.Eventually(t, fmt.Sprint(want), func() bool {
		got, over := values(t, m), map[string]bool{}
		for _, name := range []string{oldestIdle, oldestActive, retained} {
			if value, ok := got[name]; ok {
				over[name] = value > 0
			}
		}
		diff = cmp.Diff(want, over)
		return diff == ""
	})
}

// TestTheDatabasesHealthIsSeen: a transaction that idles and a slot that nobody
// reads keep a database from cleaning up, and both are over as they end. That holds
// while who waits for the transaction has all connections of the work.
func TestTheDatabasesHealthIsSeen(t *testing.T) {
	db, metrics, _ := setupMetrics(t)
	pool := db.API.Pool
	none := map[string]bool{oldestIdle: false, oldestActive: false, retained: false}
	healthBecomes(t, metrics, none)
	for range db.Work.Pool.Config().MaxConns {
		held, err := db.Work.Pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer held.Release()
	}
	// The service's own would be ended after 2 s.
	theirs, err := pgx.ConnectConfig(t.Context(), outsider(pool))
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close(context.WithoutCancel(t.Context()))
	tx, err := theirs.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	exec(t, pool, `select pg_create_physical_replication_slot('forgotten', true)`)
	exec(t, pool, `create table t as select generate_series(1, 1000)`)
	healthBecomes(t, metrics, map[string]bool{oldestIdle: true, oldestActive: false, retained: true})
	exec(t, pool, `select pg_drop_replication_slot('forgotten')`)
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	healthBecomes(t, metrics, none)
}

// outsider connects as a program does that is not ours.
func outsider(pool *pgxpool.Pool) *pgx.ConnConfig {
	c := pool.Config().ConnConfig.Copy()
	c.RuntimeParams = map[string]string{"application_name": "somebody"}
	return c
}

func exec(t *testing.T, pool *pgxpool.Pool, sql string) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// TestADatabaseThatHangsTakesNoMetricsWithIt: nobody waits for it who looks at the
// others, and it is seen again over a new connection.
func TestADatabaseThatHangsTakesNoMetricsWithIt(t *testing.T) {
	db, metrics, silence := setupMetrics(t)
	healthBecomes(t, metrics, map[string]bool{oldestIdle: false, oldestActive: false, retained: false})
	silence()
	const limit = "pgxpool.max_connections{db.client.connection.pool.name=shop-work,db.system.name=postgresql}"
	if got := values(t, metrics); got[limit] != 6 {
		t.Error(got)
	}
	theirs, err := pgx.ConnectConfig(t.Context(), outsider(db.API.Pool))
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close(context.WithoutCancel(t.Context()))
	if _, err := theirs.Exec(t.Context(), `begin`); err != nil {
		t.Fatal(err)
	}
	healthBecomes(t, metrics, map[string]bool{oldestIdle: true, oldestActive: false, retained: false})
}
