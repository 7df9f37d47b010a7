package resilience_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/failsafe-go/failsafe-go"
	failsafebudget "github.com/failsafe-go/failsafe-go/budget"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	"example.com/ballast/pkg/resilience"
)

var (
	errDown     = errors.New("down")
	errDeclined = errors.New("declined")
)

type bundle struct {
	*resilience.Guard

	calls atomic.Int64
	logs  strings.Builder
}

// setup returns a guard that opens after four failures.
func setup(t *testing.T, change func(*resilience.Config)) *bundle {
	t.Helper()
	b := &bundle{}
	cfg := resilience.Config{
		Name: "provider", Logger: slog.New(slog.NewTextHandler(&b.logs, nil)),
		Timeout: time.Second, MinRequests: 4, OpenFor: 5 * time.Second, Probes: 2,
		Failure: func(err error) bool { return !errors.Is(err, errDeclined) },
	}
	if change != nil {
		change(&cfg)
	}
	g, err := resilience.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.Guard = g
	return b
}

// call counts the attempts that reach the dependency.
func (b *bundle) call(ctx context.Context, fn func(context.Context) error) error {
	_, err := resilience.Do(ctx, b.Guard, func(ctx context.Context) (int, error) {
		b.calls.Add(1)
		return 1, fn(ctx)
	})
	return err
}

func fails(context.Context) error    { return errDown }
func works(context.Context) error    { return nil }
func declines(context.Context) error { return errDeclined }

func hangs(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestBreakerOpensProbesAndCloses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		for range 4 {
			if err := b.call(t.Context(), fails); !errors.Is(err, errDown) || !strings.HasPrefix(err.Error(), "provider: ") {
				t.Fatalf("closed: %v", err)
			}
		}
		if err := b.call(t.Context(), works); !errors.Is(err, resilience.ErrOpen) || b.calls.Load() != 4 {
			t.Fatalf("open: %v after %d calls", err, b.calls.Load())
		}

		// One failed probe opens it again.
		time.Sleep(6 * time.Second)
		if err := b.call(t.Context(), fails); !errors.Is(err, errDown) {
			t.Fatalf("probe: %v", err)
		}
		if err := b.call(t.Context(), works); !errors.Is(err, resilience.ErrOpen) {
			t.Fatalf("after a failed probe: %v", err)
		}

		// Half open lets two through at once and no third.
		time.Sleep(6 * time.Second)
		var wg sync.WaitGroup
		var refused atomic.Int64
		for range 10 {
			wg.Go(func() {
				err := b.call(t.Context(), func(context.Context) error { time.Sleep(100 * time.Millisecond); return nil })
				if errors.Is(err, resilience.ErrOpen) {
					refused.Add(1)
				}
			})
		}
		wg.Wait()
		if refused.Load() != 8 || b.State() != "closed" {
			t.Errorf("%d refused and %s, want 8 and closed", refused.Load(), b.State())
		}
		for _, change := range []string{"from_state=closed to_state=open", "from_state=open to_state=half-open", "from_state=half-open to_state=open", "from_state=half-open to_state=closed"} {
			if !strings.Contains(b.logs.String(), change) {
				t.Errorf("%s is not in the log:\n%s", change, b.logs.String())
			}
		}
		if n := strings.Count(b.logs.String(), "\n"); n != 5 {
			t.Errorf("%d log lines, want one for each of the 5 changes", n)
		}
	})
}

func TestWhatCountsAsAFailure(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		call func(b *bundle, ctx context.Context)
		want string
	}{
		"a client's error does not": {func(b *bundle, ctx context.Context) { _ = b.call(ctx, declines) }, "closed"},
		"the caller's leaving does not": {func(b *bundle, ctx context.Context) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Millisecond, cancel)
			_ = b.call(ctx, hangs)
		}, "closed"},
		"a caller who has left before does not": {func(b *bundle, ctx context.Context) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			_ = b.call(ctx, fails)
		}, "closed"},
		"the attempt's timeout does":   {func(b *bundle, ctx context.Context) { _ = b.call(ctx, hangs) }, "open"},
		"the caller's deadline does":   {func(b *bundle, ctx context.Context) { _ = b.call(deadline(ctx), hangs) }, "open"},
		"the dependency's errors does": {func(b *bundle, ctx context.Context) { _ = b.call(ctx, fails) }, "open"},
		"a panic does": {func(b *bundle, ctx context.Context) {
			defer func() { _ = recover() }()
			_ = b.call(ctx, func(context.Context) error { panic("boom") })
		}, "open"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, nil)
				for range 6 {
					tc.call(b, t.Context())
				}
				if got := b.State(); got != tc.want {
					t.Errorf("breaker %s, want %s", got, tc.want)
				}
			})
		})
	}
}

func deadline(ctx context.Context) context.Context {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	context.AfterFunc(ctx, cancel)
	return ctx
}

func TestRatioOverAWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(c *resilience.Config) { c.MinRequests, c.Window = 10, 10*time.Second })
		// One failure in three: below one half.
		for i := range 30 {
			fn := works
			if i%3 == 2 {
				fn = fails
			}
			_ = b.call(t.Context(), fn)
		}
		if b.State() != "closed" {
			t.Fatal("opened at a third of failures")
		}
		// What happened before the window does not count, for good or ill.
		time.Sleep(11 * time.Second)
		for range 10 {
			_ = b.call(t.Context(), fails)
		}
		if b.State() != "open" {
			t.Error("closed though all failed within the window")
		}
	})
}

func TestBulkheadBoundsAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(c *resilience.Config) { c.MaxConcurrent, c.MaxWait = 2, 10*time.Millisecond })
		var wg sync.WaitGroup
		var full atomic.Int64
		for range 10 {
			wg.Go(func() {
				err := b.call(t.Context(), func(context.Context) error { time.Sleep(100 * time.Millisecond); return nil })
				if errors.Is(err, resilience.ErrFull) {
					full.Add(1)
				}
			})
		}
		wg.Wait()
		if b.calls.Load() != 2 || full.Load() != 8 || b.State() != "closed" {
			t.Errorf("%d calls, %d refused, %s: want 2, 8, closed", b.calls.Load(), full.Load(), b.State())
		}
	})
}

// A panic must give its place back, or the bulkhead is full for ever.
func TestPanicPassesAndFreesItsPlace(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *resilience.Config) { c.MaxConcurrent = 1 })
	func() {
		defer func() {
			if r := recover(); r != "boom" {
				t.Errorf("recovered %v", r)
			}
		}()
		_ = b.call(t.Context(), func(context.Context) error { panic("boom") })
	}()
	if err := b.call(t.Context(), works); err != nil {
		t.Errorf("after the panic: %v", err)
	}
}

func TestRetries(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fn    func(context.Context) error
		calls int64
	}{
		"success":         {works, 1},
		"failure":         {fails, 3},
		"client's error":  {declines, 1},
		"attempt timeout": {hangs, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, func(c *resilience.Config) { c.MaxRetries = 2 })
				_ = b.call(t.Context(), tc.fn)
				if b.calls.Load() != tc.calls {
					t.Errorf("%d attempts, want %d", b.calls.Load(), tc.calls)
				}
			})
		})
	}
}

func TestRetryStopsWithTheCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(c *resilience.Config) { c.MaxRetries, c.Backoff, c.MaxBackoff = 5, time.Hour, time.Hour })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := b.call(ctx, fails); err == nil {
			t.Error("no error")
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("returned after %v", took)
		}
	})
}

// The pauses spread over the whole interval from zero: that is full jitter.
func TestFullJitter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const bound = 100 * time.Millisecond
		var low, high int
		for range 200 {
			b := setup(t, func(c *resilience.Config) { c.MaxRetries, c.Backoff, c.MaxBackoff = 1, bound, bound })
			began := time.Now()
			_ = b.call(t.Context(), fails)
			switch took := time.Since(began); {
			case took > bound:
				t.Fatalf("paused %v, want at most %v", took, bound)
			case took < bound/4:
				low++
			case took > bound*3/4:
				high++
			}
		}
		if low < 20 || high < 20 {
			t.Errorf("of 200 pauses %d in the first and %d in the last quarter", low, high)
		}
	})
}

// One caller at a time in an outage, with a breaker that never opens: the bucket
// holds the retries to a tenth of the calls; failsafe's budget, which looks at
// what is under way, lets every retry through.
func TestBudgetBoundsAmplification(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const calls = 2000
		b := setup(t, func(c *resilience.Config) { c.MaxRetries, c.MinRequests = 2, 1<<31 })
		var theirs int64
		policy := retrypolicy.NewBuilder[any]().WithMaxRetries(2).
			WithBudget(failsafebudget.NewBuilder().WithMaxRate(0.1).WithMinConcurrency(1).Build()).Build()
		for range calls {
			_ = b.call(t.Context(), fails)
			_, _ = failsafe.With[any](policy).Get(func() (any, error) { theirs++; return nil, errDown })
		}
		ours := float64(b.calls.Load()) / calls
		if ours > 1.11 || ours < 1.09 {
			t.Errorf("amplification %.3f, want 1.1", ours)
		}
		t.Logf("amplification %.2f; with failsafe's budget %.2f", ours, float64(theirs)/calls)
	})
}

func TestValueAndConfig(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	if v, err := resilience.Do(t.Context(), b.Guard, func(context.Context) (string, error) { return "x", nil }); v != "x" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	if v, err := resilience.Do(t.Context(), b.Guard, func(context.Context) (error, error) { return nil, nil }); v != nil || err != nil {
		t.Errorf("nil of an interface: %v, %v", v, err)
	}
	if _, err := resilience.New(resilience.Config{}); err == nil {
		t.Error("a guard without a name")
	}
}
