package shed

import (
	"context"
	"errors"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Names of the metrics.
const (
	// MetricCalls counts calls by priority and outcome: admitted or shed.
	MetricCalls = "shed.calls"
	// MetricLimit is how many calls may run at once, MetricInFlight how many do,
	// MetricQueued how many wait for a place.
	MetricLimit    = "shed.limit"
	MetricInFlight = "shed.in_flight"
	MetricQueued   = "shed.queued"
	// MetricPressure is each source's, from 0 to 1.
	MetricPressure = "shed.pressure"
)

type metrics struct {
	calls          metric.Int64Counter
	in, out        [Exempt]metric.AddOption
	sources        []metric.ObserveOption
	pressure       []atomic.Int64 // millionths, in the order of the sources
	names          []string
	limit          metric.Int64ObservableGauge
	flight, queued metric.Int64ObservableGauge
	pressed        metric.Float64ObservableGauge
}

func newMetrics(s *Shedder) (*metrics, error) {
	meter := otel.Meter("example.com/ballast/pkg/shed")
	m := &metrics{pressure: make([]atomic.Int64, len(s.cfg.Sources))}
	for p := range m.in {
		own := attribute.String("priority", Priority(p).String())
		m.in[p] = metric.WithAttributeSet(attribute.NewSet(own, attribute.String("outcome", "admitted")))
		m.out[p] = metric.WithAttributeSet(attribute.NewSet(own, attribute.String("outcome", "shed")))
	}
	for _, source := range s.cfg.Sources {
		m.names = append(m.names, source.Name)
		m.sources = append(m.sources, metric.WithAttributes(attribute.String("source", source.Name)))
	}
	var errs [6]error
	m.calls, errs[0] = meter.Int64Counter(MetricCalls, metric.WithUnit("{call}"),
		metric.WithDescription("Calls that came, by priority and by what became of them."))
	m.limit, errs[1] = meter.Int64ObservableGauge(MetricLimit, metric.WithUnit("{call}"),
		metric.WithDescription("Calls that may run at once."))
	m.flight, errs[2] = meter.Int64ObservableGauge(MetricInFlight, metric.WithUnit("{call}"),
		metric.WithDescription("Calls that run."))
	m.queued, errs[3] = meter.Int64ObservableGauge(MetricQueued, metric.WithUnit("{call}"),
		metric.WithDescription("Calls that wait for a place."))
	m.pressed, errs[4] = meter.Float64ObservableGauge(MetricPressure, metric.WithUnit("1"),
		metric.WithDescription("Backlogs that no call waits for, as a share of their cap."))
	_, errs[5] = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		g := s.gate.Load()
		o.ObserveInt64(m.limit, int64(g.limiter.Limit()))
		o.ObserveInt64(m.flight, int64(g.limiter.Inflight()))
		o.ObserveInt64(m.queued, int64(g.queued()))
		for i, attrs := range m.sources {
			o.ObserveFloat64(m.pressed, float64(m.pressure[i].Load())/1e6, attrs)
		}
		return nil
	}, m.limit, m.flight, m.queued, m.pressed)
	return m, errors.Join(errs[:]...)
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
