package telemetry_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/trace"
)

// BenchmarkObserve is one observation of a latency histogram, as the services make
// it: with attributes made before, in a trace that is not recorded and in one that is.
func BenchmarkObserve(b *testing.B) {
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	h, err := provider.Meter("bench").Float64Histogram("wait", metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10))
	if err != nil {
		b.Fatal(err)
	}
	made := metric.WithAttributeSet(attribute.NewSet(attribute.String("group", "orders"), attribute.String("topic", "payments.events")))
	within := func(flags trace.TraceFlags) context.Context {
		return trace.ContextWithSpanContext(b.Context(), trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: flags,
		}))
	}
	for name, ctx := range map[string]context.Context{"not recorded": within(0), "recorded": within(trace.FlagsSampled)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h.Record(ctx, 0.0123, made)
			}
		})
	}
}
