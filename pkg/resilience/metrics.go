package resilience

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Names of the metrics. Each has the attribute dependency.
const (
	// MetricState is 0 closed, 1 half open, 2 open.
	MetricState = "dependency.breaker.state"
	// MetricDuration is the time of attempts in seconds by outcome: ok, error (an
	// answer that is one), failure, canceled, open (refused by the breaker).
	MetricDuration = "dependency.attempt.duration"
	// MetricRetries counts retries, MetricDenied those that the budget refused.
	MetricRetries = "dependency.retries"
	MetricDenied  = "dependency.retries.denied"
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
		name:    metric.WithAttributeSet(attribute.NewSet(dependency)),
		outcome: map[string]metric.MeasurementOption{},
	}
	for _, o := range []string{"ok", "error", "failure", "canceled", "open"} {
		m.outcome[o] = metric.WithAttributeSet(attribute.NewSet(dependency, attribute.String("outcome", o)))
	}
	var errs [4]error
	m.duration, errs[0] = meter.Float64Histogram(MetricDuration, metric.WithUnit("s"),
		metric.WithDescription("Time of one attempt to call a dependency."))
	m.retries, errs[1] = meter.Int64Counter(MetricRetries, metric.WithUnit("{retry}"),
		metric.WithDescription("Attempts after the first of a call."))
	m.denied, errs[2] = meter.Int64Counter(MetricDenied, metric.WithUnit("{retry}"),
		metric.WithDescription("Retries that the budget refused."))
	state, err := meter.Int64ObservableGauge(MetricState, metric.WithUnit("{state}"),
		metric.WithDescription("State of the circuit breaker: 0 closed, 1 half open, 2 open."))
	errs[3] = err
	g.metrics = m
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	// Not a callback of the instrument: of several with one name, the first alone
	// would be called, and the other guards would have no state.
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(state, int64(g.breaker.State()), m.name)
		return nil
	}, state)
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
