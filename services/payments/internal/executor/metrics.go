package executor

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"example.com/ballast/services/payments/internal/payment"
)

// metrics are what an executor tells about itself.
type metrics struct {
	duration   metric.Float64Histogram
	claims     metric.Int64Counter
	overflows  metric.Int64Counter
	supersedes metric.Int64Counter
	settles    metric.Int64Counter
	batch      metric.Int64Histogram
}

// newMetrics makes the instruments; open and stuck are shown as gauges.
func newMetrics(meter metric.Meter, open func() int, stuck func() int64) metrics {
	newOpenGauge(meter, metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
		o.Observe(int64(open()))
		return nil
	}))
	newStuckGauge(meter, metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
		o.Observe(stuck())
		return nil
	}))
	return metrics{
		duration: newProviderCallDurationHistogram(meter), batch: newSaveBatchHistogram(meter),
		claims: newLeasesClaimedCounter(meter), overflows: newQueueOverflowsCounter(meter),
		supersedes: newResultsSupersededCounter(meter), settles: newSettledCounter(meter),
	}
}

func (m *metrics) called(ctx context.Context, op payment.Operation, outcome payment.Outcome, took time.Duration) {
	m.duration.Record(ctx, took.Seconds(), metric.WithAttributes(
		attribute.Stringer("operation", op), attribute.Stringer("outcome", outcome)))
}

func (m *metrics) settled(ctx context.Context, s payment.Status) {
	m.settles.Add(ctx, 1, metric.WithAttributes(attribute.String("status", string(s))))
}
