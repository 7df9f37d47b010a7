package shed

import (
	"context"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

type metrics struct {
	calls    metric.Int64Counter
	in, out  [Exempt]metric.AddOption
	sources  []metric.ObserveOption
	pressure []atomic.Int64 // millionths, in the order of the sources
	names    []string
}

func newMetrics(s *Shedder) (*metrics, error) {
	meter := otel.Meter("example.com/ballast/pkg/shed")
	m := &metrics{calls: newCallsCounter(meter), pressure: make([]atomic.Int64, len(s.cfg.Sources))}
	for p := range m.in {
		own := attribute.String("priority", Priority(p).String())
		m.in[p] = metric.WithAttributeSet(attribute.NewSet(own, attribute.String("outcome", "admitted")))
		m.out[p] = metric.WithAttributeSet(attribute.NewSet(own, attribute.String("outcome", "shed")))
	}
	for _, source := range s.cfg.Sources {
		m.names = append(m.names, source.Name)
		m.sources = append(m.sources, metric.WithAttributes(attribute.String("source", source.Name)))
	}
	limit, flight, queued, pressure := newLimitGauge(meter), newInFlightGauge(meter), newQueuedGauge(meter), newPressureGauge(meter)
	_, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		g := s.gate.Load()
		o.ObserveInt64(limit, int64(g.limiter.Limit()))
		o.ObserveInt64(flight, int64(g.limiter.Inflight()))
		o.ObserveInt64(queued, int64(g.queued()))
		for i, attrs := range m.sources {
			o.ObserveFloat64(pressure, float64(m.pressure[i].Load())/1e6, attrs)
		}
		return nil
	}, limit, flight, queued, pressure)
	return m, err
}

func (m *metrics) admitted(ctx context.Context, p Priority) { m.calls.Add(ctx, 1, m.in[p]) }
func (m *metrics) refused(ctx context.Context, p Priority)  { m.calls.Add(ctx, 1, m.out[p]) }

// pressures returns the latest ones by source, for a log line.
func (m *metrics) pressures() map[string]float64 {
	now := map[string]float64{}
	for i, name := range m.names {
		now[name] = float64(m.pressure[i].Load()) / 1e6
	}
	return now
}
