package resilience_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/pkg/resilience"
	"example.com/ballast/pkg/testkit"
)

// TestEveryGuardShowsItsState: several guards of a process share their metrics, and each
// must be seen in them, with the calls that it holds and has refused. Not
// parallel: the meter provider is the process's.
func TestEveryGuardShowsItsState(t *testing.T) {
	metrics := testkit.GlobalMetrics(t)
	guards := map[string]*resilience.Guard{}
	for _, name := range []string{"a", "b"} {
		g, err := resilience.New(resilience.Config{Name: name, MaxConcurrent: 1, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		guards[name] = g
	}
	seen := func() map[string]float64 {
		values, err := metrics.Values(t)
		if err != nil {
			t.Fatal(err)
		}
		return values
	}
	err := resilience.Run(t.Context(), guards["b"], func(ctx context.Context) error {
		err := resilience.Run(ctx, guards["b"], func(context.Context) error { return nil })
		if !errors.Is(err, resilience.ErrFull) {
			t.Error(err)
		}
		want := map[string]float64{
			"dependency.breaker.state{dependency=a}": 0, "dependency.breaker.state{dependency=b}": 0,
			"dependency.limit{dependency=a}": 1, "dependency.limit{dependency=b}": 1,
			"dependency.in.flight{dependency=a}": 0, "dependency.in.flight{dependency=b}": 1,
			"dependency.rejected{dependency=a}": 0, "dependency.rejected{dependency=b}": 1,
			"dependency.breaker.openings{dependency=a}": 0, "dependency.breaker.openings{dependency=b}": 0,
		}
		if diff := cmp.Diff(want, seen()); diff != "" {
			t.Error(diff)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = resilience.Run(t.Context(), guards["b"], func(context.Context) error { panic("boom") })
	}()
	if n := seen()["dependency.in.flight{dependency=b}"]; n != 0 {
		t.Errorf("%v in flight after the last call", n)
	}
}

// TestOpeningsAreCounted: of a breaker that opens again and again for a moment, a
// scrape sees little more than this number. A probe that fails is none. Not
// parallel, as above.
func TestOpeningsAreCounted(t *testing.T) {
	metrics := testkit.GlobalMetrics(t)
	synctest.Test(t, func(t *testing.T) {
		g, err := resilience.New(resilience.Config{
			Name: "a", Consecutive: 1, OpenFor: time.Second, Probes: 1, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		down := errors.New("down")
		for _, answer := range []error{down, down, nil, nil, down, nil} { // opens, stays open, closes; opens, closes
			_ = resilience.Run(t.Context(), g, func(context.Context) error { return answer })
			time.Sleep(2 * time.Second)
		}
		values, err := metrics.Values(t)
		if n := values["dependency.breaker.openings{dependency=a}"]; n != 2 || err != nil || g.State() != "closed" {
			t.Errorf("%v openings, want 2; the breaker is %s: %v", n, g.State(), err)
		}
	})
}
