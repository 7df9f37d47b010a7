package inbox_test

import (
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"example.com/ballast/pkg/inbox"
	"example.com/ballast/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var migrations = fstest.MapFS{"00001_inbox.sql": {Data: []byte("-- +goose Up\n" + inbox.Schema)}}

func TestClaim(t *testing.T) {
	t.Parallel()
	pool := testkit.Postgres(t, migrations)
	now := time.Now()
	a, b, c := inbox.Entry{ID: "a", SentAt: now}, inbox.Entry{ID: "b", SentAt: now}, inbox.Entry{ID: "c", SentAt: now}
	old := inbox.Entry{ID: "old", SentAt: now.Add(-72 * time.Hour)}
	future := inbox.Entry{ID: "future", SentAt: now.Add(72 * time.Hour)}

	steps := []struct {
		name     string
		consumer string
		entries  []inbox.Entry
		rollback bool
		want     inbox.Claims
	}{
		{name: "a rollback forgets", consumer: "x", entries: []inbox.Entry{a}, rollback: true, want: inbox.Claims{Fresh: []bool{true}}},
		{name: "the second of two equals", consumer: "x", entries: []inbox.Entry{b, a, b}, want: inbox.Claims{Fresh: []bool{true, true, false}}},
		{name: "known and new", consumer: "x", entries: []inbox.Entry{a, c}, want: inbox.Claims{Fresh: []bool{false, true}}},
		{name: "another consumer", consumer: "y", entries: []inbox.Entry{a}, want: inbox.Claims{Fresh: []bool{true}}},
		{name: "outside the window", consumer: "x", entries: []inbox.Entry{old, a, future}, want: inbox.Claims{Fresh: []bool{true, false, true}, Outside: 2}},
		{name: "outside again: not known", consumer: "x", entries: []inbox.Entry{old}, want: inbox.Claims{Fresh: []bool{true}, Outside: 1}},
		{name: "nothing", consumer: "x", want: inbox.Claims{Fresh: []bool{}}},
	}
	for _, s := range steps {
		tx, err := pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got, err := inbox.Claim(t.Context(), tx, s.consumer, s.entries)
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		end := tx.Commit
		if s.rollback {
			end = tx.Rollback
		}
		if err := end(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", s.name, diff)
		}
	}
}

func TestMaintainDropsOldHoursAndKeepsTheRest(t *testing.T) {
	t.Parallel()
	pool := testkit.Postgres(t, migrations)
	partitions := func() int {
		t.Helper()
		var n int
		if err := pool.QueryRow(t.Context(), `select count(*) from pg_inherits where inhparent = 'inbox'::regclass`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if got := partitions(); got != 28 {
		t.Fatalf("partitions after the migration: %d; want 24 hours back, this one and 3 ahead", got)
	}
	recent := inbox.Entry{ID: "recent", SentAt: time.Now()}
	claim := func(e inbox.Entry) (c inbox.Claims) {
		t.Helper()
		err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) (err error) {
			c, err = inbox.Claim(t.Context(), tx, "x", []inbox.Entry{e})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	claim(recent)
	for range 2 { // The second time has nothing to do.
		if err := inbox.MaintainOnce(t.Context(), pool, 2*time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if got := partitions(); got != 6 {
		t.Errorf("partitions: %d; want 2 hours back, this one and 3 ahead", got)
	}
	if got := claim(recent); got.Fresh[0] {
		t.Error("a recent id was forgotten")
	}
	if got := claim(inbox.Entry{ID: "dropped", SentAt: time.Now().Add(-5 * time.Hour)}); got.Outside != 1 {
		t.Errorf("an id of a dropped hour: %+v; want it outside", got)
	}
}
