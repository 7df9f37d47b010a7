package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"example.com/ballast/pkg/batch"
	"example.com/ballast/pkg/outbox"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/resilience"
	"example.com/ballast/services/orders/internal/order"
)

func TestWhatWaitsForKafkaHasACap(t *testing.T) {
	t.Parallel()
	cfg := Config{OutboxMaxRows: 100, OutboxMaxAge: time.Minute}
	for _, tc := range []struct {
		stats outbox.Stats
		taken bool
	}{
		{outbox.Stats{}, true},
		{outbox.Stats{Depth: 99, Age: 59 * time.Second}, true},
		{outbox.Stats{Depth: 100, Age: time.Second}, false},
		{outbox.Stats{Depth: 1, Age: time.Minute}, false},
	} {
		place := underCap(cfg, func() outbox.Stats { return tc.stats },
			func(context.Context, order.Placement) (order.State, error) { return order.State{}, nil })
		_, err := place(t.Context(), order.Placement{})
		if taken := err == nil; taken != tc.taken || !taken && !errors.Is(err, batch.ErrFull) {
			t.Errorf("%+v: %v, want taken %v", tc.stats, err, tc.taken)
		}
	}
}

// A database that is away opens the breaker; then no batch asks it. An order that
// is refused, or whose key is taken, says nothing about it.
func TestTheIntakeGoesThroughTheGuard(t *testing.T) {
	t.Parallel()
	guard, err := pg.NewGuard("postgres", slog.New(slog.DiscardHandler), 2, time.Second, 0)
	if err != nil {
		t.Fatal(err)
	}
	asked, fails := 0, order.ErrKeyReused
	place := placeThrough(guard, func(_ context.Context, p []order.Placement) []batch.Result[order.State] {
		asked++
		results := make([]batch.Result[order.State], len(p))
		for i := range results {
			results[i].Err = fails
		}
		return results
	})
	both := make([]order.Placement, 2)
	for range 5 {
		if got := place(t.Context(), both); !errors.Is(got[1].Err, order.ErrKeyReused) {
			t.Fatal(got[1].Err)
		}
	}
	fails = &pgconn.PgError{Code: "57P03"} // starting up
	for range 3 {
		if got := place(t.Context(), both); !pg.Transient(got[1].Err) {
			t.Fatal(got[1].Err)
		}
	}
	got := place(t.Context(), both)
	if asked != 8 || !errors.Is(got[0].Err, resilience.ErrOpen) || !errors.Is(got[1].Err, resilience.ErrOpen) {
		t.Errorf("asked %d times, answered %v and %v", asked, got[0].Err, got[1].Err)
	}
}
