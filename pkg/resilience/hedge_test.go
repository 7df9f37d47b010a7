package resilience_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/ballast/pkg/resilience"
)

// reader answers within a millisecond, and every thirtieth time after half a
// second: a tail that has nothing to do with what is read.
type reader struct {
	calls, seconds, canceled atomic.Int64
	random                   *rand.Rand // the calls come one at a time, or together at a moment of their own
	hedge                    *resilience.Hedge
}

func newReader(t *testing.T, off func() bool) *reader {
	t.Helper()
	h, err := resilience.NewHedge(resilience.HedgeConfig{Name: "orders", Off: off})
	if err != nil {
		t.Fatal(err)
	}
	return &reader{hedge: h, random: rand.New(rand.NewPCG(1, 2))}
}

func (r *reader) read(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	takes := time.Duration(r.random.Int64N(int64(time.Millisecond)))
	if r.random.IntN(30) == 0 {
		takes = 500 * time.Millisecond
	}
	_, err := resilience.Hedged(ctx, r.hedge, func(ctx context.Context, second bool) (string, error) {
		r.calls.Add(1)
		takes := takes
		if second {
			r.seconds.Add(1)
			takes = time.Millisecond
		}
		select {
		case <-time.After(takes):
			return "read", nil
		case <-ctx.Done():
			r.canceled.Add(1)
			return "", ctx.Err()
		}
	})
	return time.Since(began), err
}

// p99 reads 2,000 times.
func (r *reader) p99(t *testing.T) time.Duration {
	t.Helper()
	took := make([]time.Duration, 2000)
	for i := range took {
		var err error
		if took[i], err = r.read(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}

func TestHedgeCutsTheTailWithinItsBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		off := newReader(t, func() bool { return true })
		slow := off.p99(t)
		if off.calls.Load() != 2000 || off.seconds.Load() != 0 {
			t.Errorf("switched off: %d calls, %d of them second attempts", off.calls.Load(), off.seconds.Load())
		}
		on := newReader(t, func() bool { return false })
		fast := on.p99(t)
		extra := float64(on.calls.Load()-2000) / 2000
		t.Logf("p99 %v without, %v with hedges; %.1f %% more calls", slow, fast, extra*100)
		if fast*10 > slow {
			t.Errorf("p99 is %v with hedges and %v without", fast, slow)
		}
		if extra > 0.05 || on.seconds.Load() == 0 {
			t.Errorf("%.3f more calls, want some and at most 0.05", extra)
		}
		if on.canceled.Load() == 0 {
			t.Error("the slower attempt was left to run")
		}
	})
}

// When everything is slow at once, hedging would double the load: the budget
// does not let it.
func TestHedgeBudgetHoldsWhenAllIsSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReader(t, func() bool { return false })
		for range 200 {
			_, _ = r.read(t.Context())
		}
		before := r.calls.Load()
		for range 400 {
			if _, err := resilience.Hedged(t.Context(), r.hedge, func(ctx context.Context, _ bool) (int, error) {
				r.calls.Add(1)
				select {
				case <-time.After(time.Second):
					return 1, nil
				case <-ctx.Done():
					return 0, ctx.Err()
				}
			}); err != nil {
				t.Fatal(err)
			}
		}
		if extra := float64(r.calls.Load()-before-400) / 400; extra > 0.075 {
			t.Errorf("%.3f more calls while all were slow", extra)
		}
	})
}

func TestHedgeIsNoRetryAndKeepsPanics(t *testing.T) {
	t.Parallel()
	r := newReader(t, func() bool { return false })
	calls := 0
	if _, err := resilience.Hedged(t.Context(), r.hedge, func(context.Context, bool) (int, error) {
		calls++
		return 0, errDown
	}); !errors.Is(err, errDown) || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
	defer func() {
		if p := recover(); p != "boom" {
			t.Errorf("recovered %v", p)
		}
	}()
	_, _ = resilience.Hedged(t.Context(), r.hedge, func(context.Context, bool) (int, error) { panic("boom") })
	t.Error("the panic was lost")
}
