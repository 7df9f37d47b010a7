package outbox

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

// metrics are the relay's instruments. Depth and age come from every process,
// the rest from the one that leads.
type metrics struct {
	published, dead metric.Int64Counter
	wait, scan      metric.Float64Histogram
	gauges          metric.Registration
}

func newMetrics(r *Relay) (*metrics, error) {
	meter := otel.Meter("example.com/ballast/pkg/outbox")
	var m metrics
	var errs [8]error
	m.published, errs[0] = meter.Int64Counter("outbox.published", metric.WithUnit("{message}"),
		metric.WithDescription("Messages acknowledged by the broker, repetitions included."))
	m.dead, errs[1] = meter.Int64Counter("outbox.dead", metric.WithUnit("{message}"),
		metric.WithDescription("Messages that could never be published, moved to outbox_dead."))
	m.wait, errs[2] = meter.Float64Histogram("outbox.wait", metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60),
		metric.WithDescription("From the beginning of a row's transaction to its publication."))
	m.scan, errs[3] = meter.Float64Histogram("outbox.scan.duration", metric.WithUnit("s"),
		metric.WithDescription("Time to look through the whole outbox; high when an old snapshot keeps dead rows."))
	depth, err := meter.Int64ObservableGauge("outbox.depth", metric.WithUnit("{row}"),
		metric.WithDescription("Committed rows not yet published."))
	errs[4] = err
	age, err := meter.Float64ObservableGauge("outbox.age", metric.WithUnit("s"),
		metric.WithDescription("How long the oldest row has waited."))
	errs[5] = err
	open, err := meter.Int64ObservableGauge("outbox.dead.open", metric.WithUnit("{row}"),
		metric.WithDescription("Rows of outbox_dead that wait for an operator."))
	errs[6] = err
	m.gauges, errs[7] = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := r.Stats()
		o.ObserveInt64(depth, s.Depth)
		o.ObserveFloat64(age, s.Age.Seconds())
		o.ObserveInt64(open, s.DeadOpen)
		return nil
	}, depth, age, open)
	return &m, errors.Join(errs[:]...)
}

func (m *metrics) close() { _ = m.gauges.Unregister() } // It has no way to fail that matters here.
