package batch_test

import (
	"sync"
	"testing"
	"testing/synctest"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

var recorded = sync.OnceValue(func() *tracetest.SpanRecorder {
	r := tracetest.NewSpanRecorder()
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(r)))
	return r
})

// A flush runs in the first recorded trace among its callers' and links to the others.
func TestAFlushIsInItsCallersTraces(t *testing.T) {
	spans := recorded()
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		b, stop := run(t, &sizes)
		for n, flags := range []trace.TraceFlags{0, 0, trace.FlagsSampled, trace.FlagsSampled} {
			caller := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{byte(n + 1)}, SpanID: trace.SpanID{1}, TraceFlags: flags})
			go func() { _, _ = b.Do(trace.ContextWithSpanContext(t.Context(), caller), n) }()
			synctest.Wait() // The first is in flight alone, the others are the next batch.
		}
		stop()
	})
	ended := spans.Ended()
	if len(ended) != 1 {
		t.Fatalf("%d spans, want one: nobody records the first flush", len(ended))
	}
	s := ended[0]
	if s.SpanContext().TraceID() != (trace.TraceID{3}) || len(s.Links()) != 1 || s.Links()[0].SpanContext.TraceID() != (trace.TraceID{4}) {
		t.Errorf("the flush is in %v and links to %v", s.SpanContext().TraceID(), s.Links())
	}
}
