package cache

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Names of the metrics. Those of a Cache have the attribute cache.
const (
	// MetricRequests counts by result: hit, miss, negative (the cache knows that
	// there is nothing), stale (given while it is refreshed), degraded (given because
	// the source failed or was slow; counted as a miss, too), refused (a set that a
	// newer version refused), error (of Redis or of an entry), overload (no load was
	// free).
	MetricRequests = "cache.requests"
	// MetricInvalidations counts keys.
	MetricInvalidations = "cache.invalidations"
	// MetricLoad is the time of reading the source in seconds.
	MetricLoad = "cache.load.duration"
	// Of the Redis: keys of the service's database, bytes in use and allowed, and
	// keys evicted since its start.
	MetricKeys      = "cache.redis.keys"
	MetricMemory    = "cache.redis.memory"
	MetricMaxMemory = "cache.redis.memory.limit"
	MetricEvictions = "cache.redis.evictions"
)

const (
	resultHit = iota
	resultMiss
	resultNegative
	resultStale
	resultDegraded
	resultRefused
	resultError
	resultOverload
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

func newMetrics(name string) (*metrics, error) {
	meter := otel.Meter(scope)
	cache := attribute.String("cache", name)
	m := &metrics{
		name:    metric.WithAttributeSet(attribute.NewSet(cache)),
		loadOK:  metric.WithAttributeSet(attribute.NewSet(cache, attribute.String("outcome", "ok"))),
		loadErr: metric.WithAttributeSet(attribute.NewSet(cache, attribute.String("outcome", "error"))),
	}
	for i, r := range results {
		m.byResult[i] = metric.WithAttributeSet(attribute.NewSet(cache, attribute.String("result", r)))
	}
	var errs [3]error
	m.requests, errs[0] = meter.Int64Counter(MetricRequests, metric.WithUnit("{request}"),
		metric.WithDescription("Reads and writes of the cache by result."))
	m.load, errs[1] = meter.Float64Histogram(MetricLoad, metric.WithUnit("s"),
		metric.WithDescription("Time of reading the source on a miss."))
	m.invalidations, errs[2] = meter.Int64Counter(MetricInvalidations, metric.WithUnit("{key}"),
		metric.WithDescription("Keys that were invalidated."))
	return m, errors.Join(errs[:]...)
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
