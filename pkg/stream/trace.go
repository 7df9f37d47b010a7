package stream

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// maxLinks caps the messages that a span points to: tuned by judgement.
const maxLinks = 32

// startSpan spans one handler call, but only if a message of the batch belongs
// to a sampled trace: the span continues the first such trace and links to the
// others. A batch that nobody traces costs nothing.
func startSpan(ctx context.Context, batch []Record) (context.Context, trace.Span) {
	var parent trace.SpanContext
	var links []trace.Link
	for i := range batch {
		sc := batch[i].SpanContext()
		switch {
		case !sc.IsSampled() || len(links) == maxLinks:
		case !parent.IsValid():
			parent = sc
		default:
			links = append(links, trace.Link{SpanContext: sc})
		}
	}
	if !parent.IsValid() {
		return ctx, nil
	}
	return otel.Tracer("example.com/ballast/pkg/stream").Start(trace.ContextWithRemoteSpanContext(ctx, parent),
		"process "+batch[0].Topic, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithLinks(links...))
}

func endSpan(span trace.Span, err error) {
	if span == nil {
		return
	}
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}
