package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/contrib/instrumentation/runtime"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// prometheusReader serves OpenTelemetry's metrics through the registry, beside
// the process's own: CPU, resident memory, open files.
func prometheusReader(registry *prometheus.Registry) (sdkmetric.Reader, error) {
	if err := registry.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})); err != nil {
		return nil, err
	}
	return otelprom.New(
		otelprom.WithRegisterer(registry),
		otelprom.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithSuffixes),
		// The scope's name and version on every series double the size of a scrape
		// and nobody asks for them.
		otelprom.WithoutScopeInfo(),
		otelprom.WithProducer(runtime.NewProducer()),
	)
}

// secondsView gives every histogram in seconds the same buckets, so that the
// parts of a path can be compared and added up on one dashboard. They reach
// from half a millisecond, a cached read, to ten seconds, the longest deadline.
func secondsView() sdkmetric.View {
	return sdkmetric.NewView(
		sdkmetric.Instrument{Kind: sdkmetric.InstrumentKindHistogram, Unit: "s"},
		sdkmetric.Stream{Aggregation: sdkmetric.AggregationExplicitBucketHistogram{
			Boundaries: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}},
	)
}

// startRuntime measures the Go runtime: goroutines, heap, garbage collection.
func startRuntime(provider metric.MeterProvider) error {
	return runtime.Start(runtime.WithMeterProvider(provider))
}
