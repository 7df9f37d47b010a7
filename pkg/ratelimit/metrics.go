package ratelimit

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Where the bucket lay that was asked.
const (
	sharedStore = iota
	localStore
)

type metrics struct {
	calls          metric.Int64Counter
	taken, refused [2]metric.AddOption
}

func newMetrics() *metrics {
	m := &metrics{calls: newCallsCounter(otel.Meter("example.com/ballast/pkg/ratelimit"))}
	for i, store := range []string{sharedStore: "shared", localStore: "local"} {
		m.taken[i] = metric.WithAttributeSet(attribute.NewSet(attribute.String("store", store), attribute.String("outcome", "taken")))
		m.refused[i] = metric.WithAttributeSet(attribute.NewSet(attribute.String("store", store), attribute.String("outcome", "refused")))
	}
	return m
}

func (m *metrics) count(ctx context.Context, store int, ok bool) {
	if ok {
		m.calls.Add(ctx, 1, m.taken[store])
		return
	}
	m.calls.Add(ctx, 1, m.refused[store])
}
