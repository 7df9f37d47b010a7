package telemetry

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Fail marks the span as failed for err, if there is one, by its ErrorText. It is
// how all of ours are: what SetStatus is given is kept as it is.
func Fail(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, ErrorText(err)) //nolint:forbidigo // This is the way around it.
	}
}

// discreetSpans is the log's rule for spans, on their way out: attributes of
// known namespaces, and no text of an error that a library has written. Our own
// spans have theirs from Fail.
type discreetSpans struct{ sdktrace.SpanExporter }

func (e discreetSpans) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	clean := make([]sdktrace.ReadOnlySpan, len(spans))
	for i, s := range spans {
		clean[i] = discreetSpan{s}
	}
	return e.SpanExporter.ExportSpans(ctx, clean)
}

// ours is the beginning of the names of our own instrumentation.
const ours = "example.com/ballast/"

type discreetSpan struct{ sdktrace.ReadOnlySpan }

func (s discreetSpan) own() bool {
	return strings.HasPrefix(s.ReadOnlySpan.InstrumentationScope().Name, ours)
}

func (s discreetSpan) Attributes() []attribute.KeyValue {
	return known(s.ReadOnlySpan.Attributes())
}

func (s discreetSpan) Status() sdktrace.Status {
	status := s.ReadOnlySpan.Status()
	if status.Description = scrub(status.Description); !s.own() {
		status.Description = ""
	}
	return status
}

func (s discreetSpan) Events() []sdktrace.Event {
	events := make([]sdktrace.Event, 0, len(s.ReadOnlySpan.Events()))
	for _, e := range s.ReadOnlySpan.Events() {
		e.Attributes = known(e.Attributes)
		events = append(events, e)
	}
	return events
}

// known keeps the attributes that may be seen. Namespaces in place of names:
// they are of the semantic conventions, technical, and filled by libraries; what
// in them holds values of a call is left out by name.
func known(attrs []attribute.KeyValue) []attribute.KeyValue {
	kept := make([]attribute.KeyValue, 0, len(attrs))
	for _, a := range attrs {
		if !knownAttribute(string(a.Key)) {
			continue
		}
		if a.Value.Type() == attribute.STRING {
			a.Value = attribute.StringValue(scrub(a.Value.AsString()))
		}
		kept = append(kept, a)
	}
	return kept
}

func knownAttribute(key string) bool {
	switch key {
	case "outcome", "error.type", "exception.type":
		return true
	}
	if strings.HasPrefix(key, "db.query.") || key == "db.statement" {
		return false
	}
	namespace, _, _ := strings.Cut(key, ".")
	switch namespace {
	case "rpc", "network", "server", "db", "pgx", "messaging", "cloudevents", "code", "order", "payment", "provider", "cache", "batch", "stream", "outbox":
		return true
	}
	return false
}
