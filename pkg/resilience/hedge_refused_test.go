package resilience_test

import (
	"context"
	"testing"
	"time"

	"example.com/ballast/pkg/resilience"
)

// TestARefusedHedgeEndsNothing: a second attempt that a guard refuses must not end the
// first, which would have answered.
func TestARefusedHedgeEndsNothing(t *testing.T) {
	t.Parallel()
	h, err := resilience.NewHedge(resilience.HedgeConfig{Name: "refused", Off: func() bool { return false }, Budget: 1})
	if err != nil {
		t.Fatal(err)
	}
	for range 128 { // fast reads teach the percentile
		_, _ = resilience.Hedged(t.Context(), h, func(context.Context, bool) (int, error) { return 1, nil })
	}
	got, err := resilience.Hedged(t.Context(), h, func(ctx context.Context, second bool) (int, error) {
		if second {
			return 0, &resilience.Refused{Dependency: "postgres-api", Cause: resilience.ErrFull}
		}
		select {
		case <-time.After(100 * time.Millisecond):
			return 1, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	})
	if got != 1 || err != nil {
		t.Errorf("the slow first attempt's answer is lost: %d, %v", got, err)
	}
}
