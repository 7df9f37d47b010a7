package stream

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const scope = "example.com/ballast/pkg/stream"

// Names of the metrics, for dashboards and alerts. Times are in seconds.
const (
	MetricBrokerWait  = "ballast.stream.broker.wait"  // record written -> polled
	MetricLocalWait   = "ballast.stream.local.wait"   // batch polled -> handler
	MetricEventAge    = "ballast.stream.event.age"    // event occurred -> handler
	MetricProcess     = "ballast.stream.process"      // one handler call, by outcome
	MetricBatch       = "ballast.stream.batch"        // records of one handler call
	MetricSetAside    = "ballast.stream.set.aside"    // records sent to or kept in the retry topic, by reason
	MetricDeadLetters = "ballast.stream.dead.letters" // records, by reason
	MetricPaused      = "ballast.stream.paused"       // 1 while nothing is taken, by reason
	MetricLag         = "ballast.stream.lag"          // records that the group has not finished, by topic and partition; each member reports it
	MetricFuture      = "ballast.stream.future"       // records stamped later than now: a clock is wrong
)

type metrics struct {
	group                            attribute.KeyValue
	byGroup                          metric.MeasurementOption
	outcome                          [fault + 1]metric.MeasurementOption
	brokerWait, eventAge             metric.Float64Histogram
	localWait, process               metric.Float64Histogram
	batch                            metric.Int64Histogram
	setAsides, deadLetters, inFuture metric.Int64Counter
	paused, lag                      metric.Int64Gauge
}

func newMetrics(m metric.Meter, group string) (*metrics, error) {
	var errs []error
	seconds := func(name, description string) metric.Float64Histogram {
		// Low milliseconds are the normal case, minutes that of a drained backlog.
		h, err := m.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(description),
			metric.WithExplicitBucketBoundaries(.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30, 60, 300))
		errs = append(errs, err)
		return h
	}
	counter := func(name, description string) metric.Int64Counter {
		c, err := m.Int64Counter(name, metric.WithUnit("{record}"), metric.WithDescription(description))
		errs = append(errs, err)
		return c
	}
	g := attribute.String("group", group)
	s := &metrics{group: g, byGroup: metric.WithAttributeSet(attribute.NewSet(g))}
	for c := range s.outcome {
		s.outcome[c] = metric.WithAttributeSet(attribute.NewSet(g, attribute.Stringer("outcome", class(c))))
	}
	s.brokerWait = seconds(MetricBrokerWait, "Time from the writing of a record to its poll.")
	s.localWait = seconds(MetricLocalWait, "Time from the poll of a batch to a handler call.")
	s.eventAge = seconds(MetricEventAge, "Time from an event to the handler.")
	s.process = seconds(MetricProcess, "Duration of a handler call.")
	s.setAsides = counter(MetricSetAside, "Records that wait in the retry topic.")
	s.deadLetters = counter(MetricDeadLetters, "Records given up.")
	s.inFuture = counter(MetricFuture, "Records stamped later than now.")
	var err error
	s.batch, err = m.Int64Histogram(MetricBatch, metric.WithUnit("{record}"), metric.WithDescription("Records of a handler call."),
		metric.WithExplicitBucketBoundaries(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024))
	errs = append(errs, err)
	s.paused, err = m.Int64Gauge(MetricPaused, metric.WithDescription("1 while nothing is taken, for this reason."))
	errs = append(errs, err)
	s.lag, err = m.Int64Gauge(MetricLag, metric.WithUnit("{record}"), metric.WithDescription("Records that the group has not finished; every member reports it."))
	errs = append(errs, err)
	return s, errors.Join(errs...)
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

func (m *metrics) handled(ctx context.Context, records int, polled, start time.Time, outcome class) {
	m.localWait.Record(ctx, start.Sub(polled).Seconds(), m.byGroup)
	m.process.Record(ctx, time.Since(start).Seconds(), m.outcome[outcome])
	m.batch.Record(ctx, int64(records), m.byGroup)
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

func (m *metrics) setLag(ctx context.Context, topic string, partition int32, records int64) {
	m.lag.Record(ctx, records, metric.WithAttributes(m.group, attribute.String("topic", topic), attribute.Int("partition", int(partition))))
}
