package telemetry

import (
	"context"
	goruntime "runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/contrib/instrumentation/runtime"
	"go.opentelemetry.io/otel/attribute"
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

// libraryView gives the histograms that libraries make the buckets of ours, so
// that the parts of a path can be compared on one dashboard. Ours bring their own:
// a view would overrule them.
func libraryView(i sdkmetric.Instrument) (sdkmetric.Stream, bool) {
	buckets, ok := libraryBuckets[i.Name]
	return sdkmetric.Stream{
		Name: i.Name, Description: i.Description, Unit: i.Unit,
		Aggregation: sdkmetric.AggregationExplicitBucketHistogram{Boundaries: buckets},
	}, ok
}

// showBuild tells what runs. The revision is empty in a binary that was built
// outside its repository.
func showBuild(provider metric.MeterProvider, version string) {
	revision := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	what := metric.WithAttributes(attribute.String("version", version), attribute.String("revision", revision),
		attribute.String("go.version", goruntime.Version()))
	newBuildInfoGauge(provider.Meter("example.com/ballast/pkg/telemetry"), metric.WithInt64Callback(
		func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(1, what)
			return nil
		}))
}

// startRuntime measures the Go runtime: goroutines, heap, garbage collection.
func startRuntime(provider metric.MeterProvider) error {
	return runtime.Start(runtime.WithMeterProvider(provider))
}
