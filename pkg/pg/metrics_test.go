package pg_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/ballast/pkg/config"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/testkit"
)

// setupMetrics opens both halves of a database of the test's own. The test must
// not be parallel: the meter provider is the process's.
func setupMetrics(t *testing.T) (*pg.Pools, *testkit.Metrics) {
	t.Helper()
	metrics := testkit.GlobalMetrics(t)
	s, err := config.Parse[pg.Settings](map[string]string{"POSTGRES_URL": testkit.PostgresURL(t, nil)})
	if err != nil {
		t.Fatal(err)
	}
	wait := func(ctx context.Context, _ string, probe func(context.Context) error) error { return probe(ctx) }
	db, err := pg.Connect(t.Context(), s, pg.Config{App: "shop", Logger: quiet}, nil, wait)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close(context.WithoutCancel(t.Context())) })
	return db, metrics
}

func values(t *testing.T, m *testkit.Metrics) map[string]float64 {
	t.Helper()
	got, err := m.Values(t)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestEachPoolIsSeen(t *testing.T) {
	db, metrics := setupMetrics(t)
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
	db, metrics := setupMetrics(t)
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

// TestTheDatabasesHealthIsSeen: a transaction that idles and a slot that nobody
// reads keep a database from cleaning up, and both are over as they end.
func TestTheDatabasesHealthIsSeen(t *testing.T) {
	db, metrics := setupMetrics(t)
	pool := db.API.Pool
	const (
		idle   = "pg.transaction.oldest{state=idle}"
		active = "pg.transaction.oldest{state=active}"
		slots  = "pg.replication.slots.retained"
	)
	health := func() map[string]bool {
		got, over := values(t, metrics), map[string]bool{}
		for _, name := range []string{idle, active, slots} {
			if value, ok := got[name]; ok {
				over[name] = value > 0
			}
		}
		return over
	}
	none := map[string]bool{idle: false, active: false, slots: false}
	if diff := cmp.Diff(none, health()); diff != "" {
		t.Error(diff)
	}
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	exec(t, pool, `select pg_create_physical_replication_slot('forgotten', true)`)
	exec(t, pool, `create table t as select generate_series(1, 1000)`)
	want := map[string]bool{idle: true, active: false, slots: true}
	if diff := cmp.Diff(want, health()); diff != "" {
		t.Error(diff)
	}
	exec(t, pool, `select pg_drop_replication_slot('forgotten')`)
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(none, health()); diff != "" {
		t.Error(diff)
	}
}

func exec(t *testing.T, pool *pgxpool.Pool, sql string) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// TestADatabaseThatIsAwayTakesNoMetricsWithIt: its own are missing, and nothing else.
func TestADatabaseThatIsAwayTakesNoMetricsWithIt(t *testing.T) {
	db, metrics := setupMetrics(t)
	db.Work.Pool.Close()
	got, err := metrics.Values(t)
	if err == nil {
		t.Error("nothing was reported")
	}
	const limit = "pgxpool.max_connections{db.client.connection.pool.name=shop-work,db.system.name=postgresql}"
	if _, ok := got["pg.replication.slots.retained"]; ok || got[limit] != 6 {
		t.Error(got)
	}
}
