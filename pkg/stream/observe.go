package stream

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const scope = "example.com/ballast/pkg/stream"

type metrics struct {
	group                            attribute.KeyValue
	byGroup                          metric.MeasurementOption
	outcome                          [fault + 1]metric.MeasurementOption
	brokerWait, eventAge             metric.Float64Histogram
	localWait, process               metric.Float64Histogram
	batch                            metric.Int64Histogram
	setAsides, deadLetters, inFuture metric.Int64Counter
	paused                           metric.Int64Gauge
	lag, letters                     metric.Int64ObservableGauge
}

func newMetrics(m metric.Meter, group string) *metrics {
	g := attribute.String("group", group)
	s := &metrics{
		group: g, byGroup: metric.WithAttributeSet(attribute.NewSet(g)),
		brokerWait: newBrokerWaitHistogram(m), eventAge: newEventAgeHistogram(m),
		localWait: newLocalWaitHistogram(m), process: newProcessHistogram(m), batch: newBatchHistogram(m),
		setAsides: newSetAsideCounter(m), deadLetters: newDeadLettersCounter(m), inFuture: newFutureCounter(m),
		paused: newPausedGauge(m), lag: newLagGauge(m), letters: newDeadLettersOpenGauge(m),
	}
	for c := range s.outcome {
		s.outcome[c] = metric.WithAttributeSet(attribute.NewSet(g, attribute.Stringer("outcome", class(c))))
	}
	return s
}

// lane returns the attributes of a lane's measurements, made once.
func (m *metrics) lane(topic string) []metric.RecordOption {
	return []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(m.group, attribute.String("topic", topic)))}
}

// age records how long before now at was. A clock that runs ahead must not make
// it negative.
func (m *metrics) age(ctx context.Context, h metric.Float64Histogram, at, now time.Time, attrs []metric.RecordOption) {
	d := now.Sub(at)
	if d < 0 {
		m.inFuture.Add(ctx, 1, m.byGroup)
		d = 0
	}
	h.Record(ctx, d.Seconds(), attrs...)
}

// handled measures one handler call.
func (m *metrics) handled(ctx context.Context, batch []Record, polled, start time.Time, outcome class) {
	m.localWait.Record(ctx, start.Sub(polled).Seconds(), m.byGroup)
	m.process.Record(ctx, time.Since(start).Seconds(), m.outcome[outcome])
	m.batch.Record(ctx, int64(len(batch)), m.byGroup)
}

// taken measures the age of the events of a batch at the call which took it: each
// counts once, with all that its record has waited for, retries too. ctx is in no
// span: that of the call belongs to the trace of one record.
func (m *metrics) taken(ctx context.Context, batch []Record, start time.Time) {
	for i := range batch {
		if r := &batch[i]; !r.Time.IsZero() {
			m.age(r.observed(ctx), m.eventAge, r.Time, start, r.lane.attrs)
		}
	}
}

func (m *metrics) count(ctx context.Context, c metric.Int64Counter, topic, reason string) {
	c.Add(ctx, 1, metric.WithAttributes(m.group, attribute.String("topic", topic), attribute.String("reason", reason)))
}

// setPaused moves the 1 from one reason to the other; either may be empty.
func (m *metrics) setPaused(ctx context.Context, from, to string) {
	for v, reason := range []string{from, to} {
		if reason != "" {
			m.paused.Record(ctx, int64(v), metric.WithAttributes(m.group, attribute.String("reason", reason)))
		}
	}
}
