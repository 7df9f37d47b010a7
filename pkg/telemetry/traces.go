package telemetry

import (
	"context"
	"os"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

const (
	// defaultRatio of the traces is recorded unless OTEL_TRACES_SAMPLER says
	// otherwise. By measurement: ADR 0028.
	defaultRatio = 0.05
	// maxLinks is above the largest batch, whose span links to each of its
	// messages. OpenTelemetry's default of 128 would leave out the others and say
	// so in dropped_links_count alone.
	maxLinks = 1024
)

// startTraces installs W3C trace context in any case: a trace that passes
// through a process which exports nothing must not break there.
func (t *Telemetry) startTraces(ctx context.Context, file string, res *resource.Resource) error {
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	var opts []sdktrace.TracerProviderOption
	if exported("OTEL_TRACES_EXPORTER") {
		exporter, err := autoexport.NewSpanExporter(ctx)
		if err != nil {
			return variable("OTEL_TRACES_EXPORTER", err)
		}
		opts = append(opts, sdktrace.WithBatcher(discreetSpans{exporter}))
	}
	if file != "" {
		exporter, err := TracesTo(ctx, file)
		if err != nil {
			return err
		}
		opts = append(opts, sdktrace.WithBatcher(discreetSpans{exporter}))
	}
	if len(opts) == 0 {
		// Spans that nobody will see are not recorded; they still carry ids, for
		// the log lines and for the next process.
		otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample())))
		return nil
	}
	limits := sdktrace.NewSpanLimits()
	if os.Getenv("OTEL_SPAN_LINK_COUNT_LIMIT") == "" {
		limits.LinkCountLimit = maxLinks
	}
	opts = append(opts, sdktrace.WithResource(res), sdktrace.WithRawSpanLimits(limits))
	if os.Getenv("OTEL_TRACES_SAMPLER") == "" {
		opts = append(opts, sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(defaultRatio))))
	}
	provider := sdktrace.NewTracerProvider(opts...)
	t.stops = append(t.stops, provider.Shutdown)
	otel.SetTracerProvider(provider)
	return nil
}

// TracesTo returns an exporter that appends to a file, as Config.TracesFile has it,
// for tools that write a span of their own.
func TracesTo(ctx context.Context, file string) (sdktrace.SpanExporter, error) {
	return otlptrace.New(ctx, &traceFile{path: file, max: maxTraceFile})
}
