package outbox

import (
	"context"

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
	m := &metrics{
		published: newPublishedCounter(meter), dead: newDeadCounter(meter),
		wait: newWaitHistogram(meter), scan: newScanDurationHistogram(meter),
	}
	depth, age, open := newDepthGauge(meter), newAgeGauge(meter), newDeadOpenGauge(meter)
	var err error
	m.gauges, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := r.Stats()
		o.ObserveInt64(depth, s.Depth)
		o.ObserveFloat64(age, s.Age.Seconds())
		o.ObserveInt64(open, s.DeadOpen)
		return nil
	}, depth, age, open)
	return m, err
}

func (m *metrics) close() { _ = m.gauges.Unregister() } // It has no way to fail that matters here.
