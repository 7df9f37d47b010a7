package resilience_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

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
