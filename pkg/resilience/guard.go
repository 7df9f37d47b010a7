// Package resilience stands between a service and a dependency that can fail.
//
// A call passes, outermost first:
//
//	retries   the only layer that retries: full jitter, and a budget that bounds
//	          all retries to a share of all calls
//	bulkhead  at most MaxConcurrent attempts at once, so that one slow dependency
//	          can't take every goroutine and connection
//	breaker   refuses attempts while most of the recent ones have failed
//	timeout   of one attempt
//
// The client that is called inside must not retry by itself: layers multiply.
package resilience

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/sony/gobreaker/v2"
)

// Config of a Guard. Zero values mean the defaults that are given here; they are
// chosen by judgement for a dependency on the same network.
type Config struct {
	// Name of the dependency in metrics, logs and errors. Required.
	Name string
	// Logger takes one line per change of the breaker. Required.
	Logger *slog.Logger
	// Timeout of one attempt; default 1s. The caller's deadline holds as well.
	Timeout time.Duration
	// MaxConcurrent attempts; default 64. MaxWait for a free place; default 0,
	// which refuses at once.
	MaxConcurrent uint
	MaxWait       time.Duration
	// MaxRetries after the first attempt; default none. Only idempotent calls may
	// be retried.
	MaxRetries int
	// Backoff bounds the pause before the first retry and doubles up to
	// MaxBackoff; the pause is drawn evenly from zero to the bound (full jitter).
	// Defaults 50ms and 1s.
	Backoff, MaxBackoff time.Duration
	// RetryRatio bounds retries to this share of calls; default 0.1.
	RetryRatio float64
	// Failure tells the dependency's failures from answers that are merely
	// errors, such as a declined card; default every error. An error after the
	// caller went away is neither.
	Failure func(error) bool
	// Patience is how long an attempt must have had for the caller's deadline to
	// count as the dependency's failure; default 0, any time. Without it a client
	// that gives every call a millisecond opens the breaker for all others.
	Patience time.Duration
	// Retriable tells which failures are worth another attempt; default all.
	Retriable func(error) bool
	// The breaker opens when at least MinRequests attempts were made within
	// Window (default 20 in 10s) and FailureRatio of them failed (default 0.5), or
	// when Consecutive failed in a row (default 0: that is no reason). The latter
	// is for callers that come one at a time, such as a consumer.
	MinRequests  uint32
	FailureRatio float64
	Window       time.Duration
	Consecutive  uint32
	// OpenFor is how long it stays open (default 5s) before Probes attempts
	// (default 3) are let through; all must succeed to close it.
	OpenFor time.Duration
	Probes  uint32
}

// Guard protects calls of one dependency. Share it: its limits hold for the
// process.
type Guard struct {
	cfg     Config
	breaker *gobreaker.CircuitBreaker[any]
	outer   failsafe.Executor[any]
	budget  budget
	metrics metrics

	inFlight, rejected, openings atomic.Int64
}

// New returns a Guard, registered with the global meter.
func New(cfg Config) (*Guard, error) {
	if cfg.Name == "" || cfg.Logger == nil {
		return nil, errors.New("resilience: Name and Logger are required")
	}
	cfg = withDefaults(cfg)
	g := &Guard{cfg: cfg, budget: budget{ratio: cfg.RetryRatio, tokens: budgetReserve}}
	g.breaker = gobreaker.NewCircuitBreaker[any](g.breakerSettings())
	retries := retrypolicy.NewBuilder[any]().
		HandleIf(func(_ any, err error) bool { _, again := errors.AsType[tryAgain](err); return again }).
		WithMaxRetries(cfg.MaxRetries).
		WithDelayFunc(g.pause).
		ReturnLastFailure().
		Build()
	places := bulkhead.NewBuilder[any](cfg.MaxConcurrent).WithMaxWaitTime(cfg.MaxWait).
		OnAcquired(func(failsafe.ExecutionEvent[any]) { g.inFlight.Add(1) }).
		OnReleased(func(failsafe.ExecutionEvent[any]) { g.inFlight.Add(-1) }).
		OnFull(func(failsafe.ExecutionEvent[any]) { g.rejected.Add(1) }).
		Build()
	g.outer = failsafe.With[any](retries, places)
	if err := g.measure(); err != nil {
		return nil, fmt.Errorf("guard of %s: %w", cfg.Name, err)
	}
	return g, nil
}

func (g *Guard) breakerSettings() gobreaker.Settings {
	return gobreaker.Settings{
		Name: g.cfg.Name, MaxRequests: g.cfg.Probes, Timeout: g.cfg.OpenFor,
		// Ten buckets: old attempts fade out instead of vanishing all at once.
		Interval: g.cfg.Window, BucketPeriod: g.cfg.Window / 10,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			if g.cfg.Consecutive > 0 && c.ConsecutiveFailures >= g.cfg.Consecutive {
				return true
			}
			telling := c.Requests - c.TotalExclusions // without callers who left
			return telling >= g.cfg.MinRequests && float64(c.TotalFailures) >= g.cfg.FailureRatio*float64(telling)
		},
		IsExcluded:   func(err error) bool { _, gone := errors.AsType[callerGone](err); return gone },
		IsSuccessful: func(err error) bool { return err == nil || !g.cfg.Failure(err) },
		OnStateChange: func(name string, from, to gobreaker.State) {
			if from == gobreaker.StateClosed {
				g.openings.Add(1)
			}
			say := g.cfg.Logger.Warn
			if to == gobreaker.StateClosed {
				say = g.cfg.Logger.Info
			}
			say("circuit breaker changed", "dependency", name, "from_state", from.String(), "to_state", to.String())
		},
	}
}

// State returns closed, half-open or open.
func (g *Guard) State() string { return g.breaker.State().String() }

// Healthy is false while the breaker is open: a call would be refused.
func (g *Guard) Healthy() bool { return g.breaker.State() != gobreaker.StateOpen }

// callerGone marks an error that says nothing about the dependency.
type callerGone struct{ error }

func (e callerGone) Unwrap() error { return e.error }

// tryAgain marks an error for the retry policy, after the budget has agreed.
type tryAgain struct{ error }

func (e tryAgain) Unwrap() error { return e.error }

// Do calls fn through the guard. fn gets a context that ends with the attempt.
// The error is fn's last one, ErrOpen, ErrFull, or the context's, each with the
// dependency's name.
func Do[T any](ctx context.Context, g *Guard, fn func(context.Context) (T, error)) (T, error) {
	var zero T
	g.budget.deposit()
	// failsafe does not give a place back when the function panics, so a panic
	// travels around it.
	var panicked any
	v, err := g.outer.WithContext(ctx).GetWithExecution(func(exec failsafe.Execution[any]) (v any, err error) {
		defer func() {
			if panicked = recover(); panicked != nil {
				v, err = nil, errors.New("panic")
			}
		}()
		v, err = g.attempt(ctx, func(ctx context.Context) (any, error) { return fn(ctx) })
		if err != nil && exec.Attempts() <= g.cfg.MaxRetries && g.worthRetry(ctx, err) {
			return nil, tryAgain{err}
		}
		return v, err
	})
	if panicked != nil {
		panic(panicked)
	}
	if err != nil {
		return zero, g.named(err)
	}
	// A nil of an interface type is an untyped nil here: the zero value is right.
	out, _ := v.(T)
	return out, nil
}

// attempt is one call behind the breaker.
func (g *Guard) attempt(ctx context.Context, fn func(context.Context) (any, error)) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, callerGone{err}
	}
	began := time.Now()
	v, err := g.breaker.Execute(func() (any, error) {
		attempt, cancel := context.WithTimeout(ctx, g.cfg.Timeout)
		defer cancel()
		v, err := fn(attempt)
		if err != nil && g.gone(ctx, began) {
			err = callerGone{err}
		}
		return v, err
	})
	g.record(ctx, began, err)
	return v, err
}

// gone says whether the caller, not the dependency, ended an attempt. A caller
// who left is no failure. One whose deadline passed is, if it was patient: else
// a dependency that hangs would never open the breaker.
func (g *Guard) gone(ctx context.Context, began time.Time) bool {
	// By the clock: on a busy machine the dependency's own timeout may come before
	// the context's.
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return time.Since(began) < g.cfg.Patience
	}
	return errors.Is(ctx.Err(), context.Canceled)
}

func (g *Guard) worthRetry(ctx context.Context, err error) bool {
	if ctx.Err() != nil || isOpen(err) || !g.cfg.Failure(err) || !g.cfg.Retriable(err) {
		return false
	}
	if !g.budget.withdraw() {
		g.metrics.denied.Add(ctx, 1, g.metrics.name)
		return false
	}
	g.metrics.retries.Add(ctx, 1, g.metrics.name)
	return true
}

// pause draws the time before the next attempt.
func (g *Guard) pause(exec failsafe.ExecutionAttempt[any]) time.Duration {
	bound := g.cfg.Backoff
	for range exec.Attempts() - 1 {
		bound = min(2*bound, g.cfg.MaxBackoff)
	}
	return rand.N(bound)
}

// named replaces the libraries' errors by ours and says of which dependency.
func (g *Guard) named(err error) error {
	if again, ok := errors.AsType[tryAgain](err); ok {
		err = again.error
	}
	if gone, ok := errors.AsType[callerGone](err); ok {
		err = gone.error
	}
	switch {
	case isOpen(err):
		return &Refused{Dependency: g.cfg.Name, After: g.cfg.OpenFor, Cause: ErrOpen}
	case errors.Is(err, bulkhead.ErrFull):
		return &Refused{Dependency: g.cfg.Name, After: fullAfter, Cause: ErrFull}
	}
	return fmt.Errorf("%s: %w", g.cfg.Name, err)
}

func isOpen(err error) bool {
	return errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests)
}

func withDefaults(cfg Config) Config {
	cfg.Timeout = orDefault(cfg.Timeout, time.Second)
	cfg.MaxConcurrent = orDefault(cfg.MaxConcurrent, 64)
	cfg.Backoff = orDefault(cfg.Backoff, 50*time.Millisecond)
	cfg.MaxBackoff = orDefault(cfg.MaxBackoff, time.Second)
	cfg.RetryRatio = orDefault(cfg.RetryRatio, 0.1)
	cfg.MinRequests = orDefault(cfg.MinRequests, 20)
	cfg.FailureRatio = orDefault(cfg.FailureRatio, 0.5)
	cfg.Window = orDefault(cfg.Window, 10*time.Second)
	cfg.OpenFor = orDefault(cfg.OpenFor, 5*time.Second)
	cfg.Probes = orDefault(cfg.Probes, 3)
	if cfg.Failure == nil {
		cfg.Failure = func(error) bool { return true }
	}
	if cfg.Retriable == nil {
		cfg.Retriable = func(error) bool { return true }
	}
	return cfg
}

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
