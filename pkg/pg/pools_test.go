package pg_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"example.com/ballast/pkg/config"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/resilience"
	"example.com/ballast/pkg/testkit"
)

// All connections of one half are held: its next call is refused, and the other
// half notices nothing.
func TestNeitherHalfHoldsTheOthersConnections(t *testing.T) {
	t.Parallel()
	s, err := config.Parse[pg.Settings](map[string]string{"POSTGRES_URL": testkit.PostgresURL(t, nil)})
	if err != nil {
		t.Fatal(err)
	}
	wait := func(ctx context.Context, _ string, probe func(context.Context) error) error { return probe(ctx) }
	db, err := pg.Connect(t.Context(), s, pg.Config{App: "halves", Logger: quiet}, nil, wait)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close(context.WithoutCancel(t.Context())) })
	ask := func(ctx context.Context, half pg.DB, sql string) error {
		return resilience.Run(ctx, half.Guard, func(ctx context.Context) error {
			_, err := half.Pool.Exec(ctx, sql)
			return err
		})
	}
	for _, tc := range []struct {
		name       string
		held, free pg.DB
		conns      int32
	}{
		{"people's", db.API, db.Work, s.APIConns},
		{"the work's", db.Work, db.API, s.WorkConns},
	} {
		ctx, leave := context.WithCancel(t.Context())
		var sleepers sync.WaitGroup
		for range tc.conns {
			sleepers.Go(func() { _ = ask(ctx, tc.held, `select pg_sleep(60)`) })
		}
		testkit.Eventually(t, "all connections are held", func() bool { return tc.held.Pool.Stat().AcquiredConns() == tc.conns })
		if err := ask(t.Context(), tc.held, `select 1`); !errors.Is(err, resilience.ErrFull) {
			t.Errorf("%s connections are held: %v, want a refusal", tc.name, err)
		}
		if err := ask(t.Context(), tc.free, `select 1`); err != nil {
			t.Errorf("%s connections are held, and the other half: %v", tc.name, err)
		}
		leave()
		sleepers.Wait()
	}
}
