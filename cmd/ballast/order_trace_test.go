package main

import (
	"os"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"example.com/ballast/cmd/ballast/internal/stack"
	"example.com/ballast/cmd/ballast/internal/traceview"
)

func TestATraceThatIsAskedForIsRecorded(t *testing.T) {
	t.Parallel()
	home := stack.Home(t.TempDir())
	if err := os.Mkdir(home.Traces(), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, end, err := recorded(t.Context(), home, "place")
	if err != nil {
		t.Fatal(err)
	}
	span := trace.SpanContextFromContext(ctx)
	if err := end(); err != nil {
		t.Fatal(err)
	}
	spans, err := traceview.Trace(home.Traces(), span.TraceID().String())
	if err != nil || !span.IsSampled() || len(spans) != 1 || spans[0].Parent != "" || spans[0].Service != "ballast" {
		t.Errorf("sampled %t, spans %+v: %v", span.IsSampled(), spans, err)
	}
}
