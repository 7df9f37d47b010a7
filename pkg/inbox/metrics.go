package inbox

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Counter counts messages by what the inbox knew of them.
type Counter struct {
	messages                 metric.Int64Counter
	fresh, outside, repeated metric.MeasurementOption
}

// NewCounter returns a counter, registered with the global meter.
func NewCounter() *Counter {
	outcome := func(name string) metric.MeasurementOption {
		return metric.WithAttributeSet(attribute.NewSet(attribute.String("outcome", name)))
	}
	return &Counter{newMessagesCounter(otel.Meter("example.com/ballast/pkg/inbox")), outcome("new"), outcome("outside"), outcome("duplicate")}
}

// Add counts the entries of claims. Call it after their commit: a transaction that
// is tried again claims again.
func (c *Counter) Add(ctx context.Context, claims Claims) {
	fresh := 0
	for _, is := range claims.Fresh {
		if is {
			fresh++
		}
	}
	c.messages.Add(ctx, int64(fresh-claims.Outside), c.fresh)
	c.messages.Add(ctx, int64(claims.Outside), c.outside)
	c.messages.Add(ctx, int64(len(claims.Fresh)-fresh), c.repeated)
}
