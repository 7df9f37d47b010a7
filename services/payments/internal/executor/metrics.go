package executor

import (
	"context"
	"errors"
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
func newMetrics(meter metric.Meter, open func() int, stuck func() int64) (m metrics, err error) {
	var errs [8]error
	m.duration, errs[0] = meter.Float64Histogram("ballast.payments.provider.call.duration",
		metric.WithUnit("s"), metric.WithDescription("Calls to the provider by operation and outcome."))
	m.claims, errs[1] = meter.Int64Counter("ballast.payments.leases.claimed",
		metric.WithDescription("Open payments taken over because their lease had expired."))
	m.overflows, errs[2] = meter.Int64Counter("ballast.payments.queue.overflows",
		metric.WithDescription("Open payments left to their lease because the queue was full."))
	m.supersedes, errs[3] = meter.Int64Counter("ballast.payments.results.superseded",
		metric.WithDescription("Results not stored because the payment had moved on."))
	m.settles, errs[4] = meter.Int64Counter("ballast.payments.settled",
		metric.WithDescription("Payments settled, by status."))
	m.batch, errs[5] = meter.Int64Histogram("ballast.payments.save.batch",
		metric.WithDescription("Results stored by one transaction."),
		metric.WithExplicitBucketBoundaries(1, 2, 4, 8, 16, 32, 64, 128, 256, 512))
	_, errs[6] = meter.Int64ObservableGauge("ballast.payments.open",
		metric.WithDescription("Open payments that this process holds."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(int64(open()))
			return nil
		}))
	_, errs[7] = meter.Int64ObservableGauge("ballast.payments.stuck",
		metric.WithDescription("Open payments of all processes on which the provider gives no answer that helps; an alarm watches it."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(stuck())
			return nil
		}))
	return m, errors.Join(errs[:]...)
}

func (m *metrics) called(ctx context.Context, op payment.Operation, outcome payment.Outcome, took time.Duration) {
	m.duration.Record(ctx, took.Seconds(), metric.WithAttributes(
		attribute.Stringer("operation", op), attribute.Stringer("outcome", outcome)))
}

func (m *metrics) settled(ctx context.Context, s payment.Status) {
	m.settles.Add(ctx, 1, metric.WithAttributes(attribute.String("status", string(s))))
}
