package cache

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Names of the metrics. Each has the attribute cache.
const (
	// MetricRequests counts by result: hit, miss, negative (the cache knows that
	// there is nothing), stale (a set that a newer version refused), error (of
	// Redis or of an entry), overload (no load was free).
	MetricRequests = "cache.requests"
	// MetricLoad is the time of reading the source in seconds.
	MetricLoad = "cache.load.duration"
)

const (
	resultHit = iota
	resultMiss
	resultNegative
	resultStale
	resultError
	resultOverload
)

type metrics struct {
	requests metric.Int64Counter
	load     metric.Float64Histogram
	results  [6]metric.MeasurementOption
	loadOK   metric.MeasurementOption
	loadErr  metric.MeasurementOption
}

func newMetrics(name string) (metrics, error) {
	meter := otel.Meter("example.com/ballast/pkg/cache")
	cache := attribute.String("cache", name)
	m := metrics{
		loadOK:  metric.WithAttributeSet(attribute.NewSet(cache, attribute.String("outcome", "ok"))),
		loadErr: metric.WithAttributeSet(attribute.NewSet(cache, attribute.String("outcome", "error"))),
	}
	for i, r := range []string{"hit", "miss", "negative", "stale", "error", "overload"} {
		m.results[i] = metric.WithAttributeSet(attribute.NewSet(cache, attribute.String("result", r)))
	}
	var errs [2]error
	m.requests, errs[0] = meter.Int64Counter(MetricRequests, metric.WithUnit("{request}"),
		metric.WithDescription("Reads and writes of the cache by result."))
	m.load, errs[1] = meter.Float64Histogram(MetricLoad, metric.WithUnit("s"),
		metric.WithDescription("Time of reading the source on a miss."))
	return m, errors.Join(errs[:]...)
}

func (m *metrics) count(ctx context.Context, result int) {
	m.requests.Add(ctx, 1, m.results[result])
}

func (m *metrics) loaded(ctx context.Context, took time.Duration, err error) {
	outcome := m.loadOK
	if err != nil {
		outcome = m.loadErr
	}
	m.load.Record(ctx, took.Seconds(), outcome)
}
