package resilience

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/hedgepolicy"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// HedgeConfig of a Hedge. Zero values mean the defaults.
type HedgeConfig struct {
	// Name of what is read, in metrics. Required.
	Name string
	// Off is asked at every call; true means that no second attempt is made. It is
	// where a flag goes, and load shedding: hedges are load. Required.
	Off func() bool
	// Budget bounds second attempts to this share of calls; default 0.05.
	Budget float64
	// MinDelay before a second attempt, however fast the others are; default 2ms.
	// By judgement: below it the scheduler is waited for, not the dependency.
	MinDelay time.Duration
}

// Hedge makes a second attempt of a read that takes longer than 95 % of the
// others, and takes the first answer. For reads alone. Share it: its budget and
// its percentile hold for the process.
type Hedge struct {
	cfg      HedgeConfig
	took     quantile
	budget   budget
	executor failsafe.Executor[any]
	hedges   metric.Int64Counter
	outcome  map[string]metric.MeasurementOption
}

// errNoAnswer ends a second attempt that brings nothing; the first goes on.
var errNoAnswer = errors.New("no answer from the hedge")

// NewHedge returns a Hedge, registered with the global meter.
func NewHedge(cfg HedgeConfig) (*Hedge, error) {
	if cfg.Name == "" || cfg.Off == nil {
		return nil, errors.New("resilience: Name and Off of a hedge are required")
	}
	cfg.Budget = orDefault(cfg.Budget, 0.05)
	cfg.MinDelay = orDefault(cfg.MinDelay, 2*time.Millisecond)
	h := &Hedge{cfg: cfg, budget: budget{ratio: cfg.Budget}}
	// The budget is ours: failsafe's bounds the hedges among the calls that are
	// under way, so a caller who comes alone is never refused.
	h.executor = failsafe.With[any](hedgepolicy.NewBuilderWithDelayFunc[any](
		func(failsafe.ExecutionAttempt[any]) time.Duration { return h.delay() }).
		CancelIf(func(_ any, err error) bool { return !errors.Is(err, errNoAnswer) }).Build())
	if err := h.measure(); err != nil {
		return nil, fmt.Errorf("hedge of %s: %w", cfg.Name, err)
	}
	return h, nil
}

func (h *Hedge) measure() error {
	meter := otel.Meter("example.com/ballast/pkg/resilience")
	dependency := attribute.String("dependency", h.cfg.Name)
	h.outcome = map[string]metric.MeasurementOption{}
	for _, o := range []string{"won", "lost", "denied"} {
		h.outcome[o] = metric.WithAttributeSet(attribute.NewSet(dependency, attribute.String("outcome", o)))
	}
	h.hedges = newDependencyHedgesCounter(meter)
	delay := newDependencyHedgeDelayGauge(meter)
	// As with the state of a Guard: each has a callback of its own.
	_, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		p95, _ := h.took.p95()
		o.ObserveFloat64(delay, p95.Seconds(), metric.WithAttributeSet(attribute.NewSet(dependency)))
		return nil
	}, delay)
	return err
}

// delay is negative until enough is known to hedge.
func (h *Hedge) delay() time.Duration {
	p95, known := h.took.p95()
	if !known {
		return -1
	}
	return max(p95, h.cfg.MinDelay)
}

// answer is what an attempt came to.
type answer struct {
	value    any
	second   bool
	panicked any
}

// Hedged reads through h. fn is told whether it is the second attempt, which may
// read elsewhere; its context ends when the other has answered. The first answer
// counts, and an error is one, but of the first attempt alone: this is no retry.
func Hedged[T any](ctx context.Context, h *Hedge, fn func(ctx context.Context, second bool) (T, error)) (T, error) {
	if h.cfg.Off() {
		return fn(ctx, false)
	}
	h.budget.deposit()
	var sent atomic.Bool
	began := time.Now()
	v, err := h.executor.WithContext(ctx).GetWithExecution(func(exec failsafe.Execution[any]) (any, error) {
		second := exec.IsHedge()
		if second && !h.budget.withdraw() {
			h.hedges.Add(ctx, 1, h.outcome["denied"])
			return nil, errNoAnswer
		}
		if second {
			sent.Store(true)
		}
		got, err := protect(second, func() (any, error) { return fn(exec.Context(), second) })
		if second && err != nil {
			// Also a refusal of the guard: it must not take the place of an answer
			// that is on its way.
			return nil, errNoAnswer
		}
		return got, err
	})
	h.took.add(time.Since(began))
	first, _ := v.(answer)
	switch {
	case first.second:
		h.hedges.Add(ctx, 1, h.outcome["won"])
	case sent.Load():
		h.hedges.Add(ctx, 1, h.outcome["lost"])
	}
	if first.panicked != nil {
		panic(first.panicked)
	}
	value, _ := first.value.(T)
	return value, err
}

// WrapHedged returns a read that h makes a second time when it is slow.
func WrapHedged[A, B any](h *Hedge, fn func(context.Context, A) (B, error)) func(context.Context, A) (B, error) {
	return func(ctx context.Context, a A) (B, error) {
		return Hedged(ctx, h, func(ctx context.Context, _ bool) (B, error) { return fn(ctx, a) })
	}
}

// protect brings a panic back to the caller's goroutine, where somebody recovers
// from it; in the attempt's own it would end the process.
func protect(second bool, fn func() (any, error)) (got answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			got, err = answer{second: second, panicked: p}, errors.New("panic")
		}
	}()
	value, err := fn()
	return answer{value: value, second: second}, err
}
