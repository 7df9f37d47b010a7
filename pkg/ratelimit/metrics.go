package ratelimit

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// MetricCalls counts customers' calls by outcome (taken, refused) and by store:
// shared, or local while Redis can't be asked.
const MetricCalls = "ratelimit.calls"

// Where the bucket lay that was asked.
const (
	sharedStore = iota
	localStore
)

type metrics struct {
	calls          metric.Int64Counter
	taken, refused [2]metric.AddOption
}

func newMetrics() (*metrics, error) {
	m := &metrics{}
	for i, store := range []string{sharedStore: "shared", localStore: "local"} {
		m.taken[i] = metric.WithAttributeSet(attribute.NewSet(attribute.String("store", store), attribute.String("outcome", "taken")))
		m.refused[i] = metric.WithAttributeSet(attribute.NewSet(attribute.String("store", store), attribute.String("outcome", "refused")))
	}
	var err error
	m.calls, err = otel.Meter("example.com/ballast/pkg/ratelimit").Int64Counter(MetricCalls, metric.WithUnit("{call}"),
		metric.WithDescription("Customers' calls held against their limit."))
	return m, err
}

func (m *metrics) count(ctx context.Context, store int, ok bool) {
	if ok {
		m.calls.Add(ctx, 1, m.taken[store])
		return
	}
	m.calls.Add(ctx, 1, m.refused[store])
}
