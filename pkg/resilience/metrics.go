package resilience

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

type metrics struct {
	duration        metric.Float64Histogram
	retries, denied metric.Int64Counter
	name            metric.MeasurementOption
	outcome         map[string]metric.MeasurementOption
}

func (g *Guard) measure() error {
	meter := otel.Meter("example.com/ballast/pkg/resilience")
	dependency := attribute.String("dependency", g.cfg.Name)
	m := metrics{
		duration: newDependencyAttemptDurationHistogram(meter),
		retries:  newDependencyRetriesCounter(meter), denied: newDependencyRetriesDeniedCounter(meter),
		name:    metric.WithAttributeSet(attribute.NewSet(dependency)),
		outcome: map[string]metric.MeasurementOption{},
	}
	for _, o := range []string{"ok", "error", "failure", "canceled", "open"} {
		m.outcome[o] = metric.WithAttributeSet(attribute.NewSet(dependency, attribute.String("outcome", o)))
	}
	g.metrics = m
	state, inFlight, limit := newDependencyBreakerStateGauge(meter), newDependencyInFlightGauge(meter), newDependencyLimitGauge(meter)
	// By observation: there from the start, with 0.
	rejected, openings := newDependencyRejectedCounter(meter), newDependencyBreakerOpeningsCounter(meter)
	// Not a callback of the instrument: of several with one name, the first alone
	// would be called, and the other guards would have no state.
	_, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(state, int64(g.breaker.State()), m.name)
		o.ObserveInt64(inFlight, g.inFlight.Load(), m.name)
		o.ObserveInt64(limit, int64(g.cfg.MaxConcurrent), m.name) //nolint:gosec // as many goroutines never are
		o.ObserveInt64(rejected, g.rejected.Load(), m.name)
		o.ObserveInt64(openings, g.openings.Load(), m.name)
		return nil
	}, state, inFlight, limit, rejected, openings)
	return err
}

// record measures one attempt.
func (g *Guard) record(ctx context.Context, began time.Time, err error) {
	outcome := "failure"
	_, gone := errors.AsType[callerGone](err)
	switch {
	case err == nil:
		outcome = "ok"
	case isOpen(err):
		outcome = "open"
	case gone:
		outcome = "canceled"
	case !g.cfg.Failure(err):
		outcome = "error"
	}
	g.metrics.duration.Record(ctx, time.Since(began).Seconds(), g.metrics.outcome[outcome])
}
