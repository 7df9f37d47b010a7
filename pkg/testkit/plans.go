package testkit

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/ballast/pkg/pg"
)

// OneSession returns a pool of one session on the same database, set up as those of
// orders and payments. Like theirs it keeps the plan of a statement that it has run a
// few times: what is run on new tables shows what that plan costs when they have grown.
func OneSession(t testing.TB, pool *pgxpool.Pool) *pgxpool.Pool {
	t.Helper()
	one, err := pg.Open(t.Context(), pg.Config{URL: pool.Config().ConnString(), App: "test", MaxConns: 1, KeyLookups: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(one.Close)
	return one
}

// RowsRead is how many rows and index entries of its tables the database has read
// so far, in the sessions that are over and in the one of a pool made by OneSession.
func RowsRead(t testing.TB, one *pgxpool.Pool) int64 {
	t.Helper()
	if _, err := one.Exec(t.Context(), "select pg_stat_force_next_flush()"); err != nil {
		t.Fatal(err)
	}
	var n int64
	err := one.QueryRow(t.Context(), `
		select (select sum(seq_tup_read) from pg_stat_user_tables) + (select sum(idx_tup_read) from pg_stat_user_indexes)`).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
