package cache

import (
	"context"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const (
	resultHit = iota
	resultMiss
	resultNegative // the cache knows that there is nothing
	resultStale    // given while it is refreshed
	resultDegraded // given because the source failed or was slow; counted as a miss, too
	resultRefused  // a set that a newer version refused
	resultError    // of Redis or of an entry
	resultOverload // no load was free
)

// results are the names of the constants above.
var results = [...]string{"hit", "miss", "negative", "stale", "degraded", "refused", "error", "overload"}

const scope = "example.com/ballast/pkg/cache"

type metrics struct {
	requests, invalidations metric.Int64Counter
	load                    metric.Float64Histogram
	byResult                [len(results)]metric.MeasurementOption
	name, loadOK, loadErr   metric.MeasurementOption
	// counts are the same as requests, for the admin listener.
	counts [len(results)]atomic.Int64
}

func newMetrics(name string) *metrics {
	meter := otel.Meter(scope)
	cache := attribute.String("cache", name)
	m := &metrics{
		requests: newRequestsCounter(meter), invalidations: newInvalidationsCounter(meter), load: newLoadDurationHistogram(meter),
		name:    metric.WithAttributeSet(attribute.NewSet(cache)),
		loadOK:  metric.WithAttributeSet(attribute.NewSet(cache, attribute.String("outcome", "ok"))),
		loadErr: metric.WithAttributeSet(attribute.NewSet(cache, attribute.String("outcome", "error"))),
	}
	for i, r := range results {
		m.byResult[i] = metric.WithAttributeSet(attribute.NewSet(cache, attribute.String("result", r)))
	}
	return m
}

func (m *metrics) count(ctx context.Context, result int) {
	m.counts[result].Add(1)
	m.requests.Add(ctx, 1, m.byResult[result])
}

func (m *metrics) invalidated(ctx context.Context, keys int) {
	m.invalidations.Add(ctx, int64(keys), m.name)
}

func (m *metrics) loaded(ctx context.Context, took time.Duration, err error) {
	outcome := m.loadOK
	if err != nil {
		outcome = m.loadErr
	}
	m.load.Record(ctx, took.Seconds(), outcome)
}
