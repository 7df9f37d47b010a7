package cache

import (
	"context"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// onlyWithin makes spans below recorded ones alone. The library begins a trace
// for each command that has none, such as those of the metrics and of a client
// that connects, and nobody has use for traces of one command.
type onlyWithin struct{ trace.TracerProvider }

func (p onlyWithin) Tracer(name string, opts ...trace.TracerOption) trace.Tracer {
	return tracerWithin{p.TracerProvider.Tracer(name, opts...)}
}

type tracerWithin struct{ trace.Tracer }

func (t tracerWithin) Start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return ctx, noop.Span{}
	}
	return t.Tracer.Start(ctx, name, opts...)
}
