package telemetry_test

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"example.com/ballast/pkg/telemetry"
)

// traced starts telemetry with a file for traces and nothing else. Not parallel:
// the providers are the process's.
func traced(t *testing.T, sampler string) (file string, end func()) {
	t.Helper()
	for _, name := range []string{"OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT"} {
		t.Setenv(name, "")
	}
	t.Setenv("OTEL_TRACES_SAMPLER", sampler)
	file = filepath.Join(t.TempDir(), "orders.jsonl")
	tel, err := telemetry.Start(t.Context(), telemetry.Config{Service: "orders", TracesFile: file, Output: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	return file, func() {
		if err := tel.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// The file has the format of the collector's file exporter: whoever reads the one
// reads the other.
func TestTracesGoToAFile(t *testing.T) {
	file, end := traced(t, "always_on")
	tracer := otel.Tracer("test")
	ctx, parent := tracer.Start(t.Context(), "parent", trace.WithSpanKind(trace.SpanKindServer))
	_, other := tracer.Start(t.Context(), "other")
	links := make([]trace.Link, 512) // Of a batch.
	for i := range links {
		links[i] = trace.Link{SpanContext: other.SpanContext()}
	}
	_, child := tracer.Start(ctx, "child", trace.WithLinks(links...))
	child.End()
	other.End()
	parent.End()
	end()

	type span struct {
		TraceID      string `json:"traceId"`
		SpanID       string `json:"spanId"`
		ParentSpanID string `json:"parentSpanId"`
		Kind         int    `json:"kind"`
		Links        []struct {
			TraceID string `json:"traceId"`
		} `json:"links"`
	}
	var line struct {
		ResourceSpans []struct {
			ScopeSpans []struct {
				Spans []span `json:"spans"`
			} `json:"scopeSpans"`
		} `json:"resourceSpans"`
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &line); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	got := map[string]span{}
	for _, s := range line.ResourceSpans[0].ScopeSpans[0].Spans {
		got[s.SpanID] = s
	}
	c, p := got[child.SpanContext().SpanID().String()], got[parent.SpanContext().SpanID().String()]
	if c.TraceID != child.SpanContext().TraceID().String() || c.ParentSpanID != p.SpanID || p.SpanID == "" || p.Kind != 2 || p.ParentSpanID != "" {
		t.Errorf("child %+v, parent %+v", c, p)
	}
	for i := range c.Links {
		if c.Links[i].TraceID != other.SpanContext().TraceID().String() {
			t.Errorf("link %d is to %s", i, c.Links[i].TraceID)
		}
	}
	if len(c.Links) != len(links) {
		t.Errorf("%d links, want %d", len(c.Links), len(links))
	}
}

// Without OTEL_TRACES_SAMPLER a share of the traces is recorded, and those that
// come recorded go on so.
func TestASampleIsRecorded(t *testing.T) {
	_, end := traced(t, "")
	defer end()
	tracer, n := otel.Tracer("test"), 0
	for range 4000 {
		ctx, span := tracer.Start(t.Context(), "root")
		_, child := tracer.Start(ctx, "child")
		if child.IsRecording() != span.IsRecording() {
			t.Fatal("a child is not recorded as its parent is")
		}
		if span.IsRecording() {
			n++
		}
	}
	if n < 100 || n > 300 {
		t.Errorf("%d of 4000 traces are recorded, want about 200", n)
	}
	remote := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{0: 255, 15: 255}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled, Remote: true})
	if _, span := tracer.Start(trace.ContextWithRemoteSpanContext(t.Context(), remote), "goes on"); !span.IsRecording() {
		t.Error("a recorded trace has ended here")
	}
}

func TestAnUnwritableFileIsNamed(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "")
	file := filepath.Join(t.TempDir(), "no", "such", "directory")
	if _, err := telemetry.Start(t.Context(), telemetry.Config{Service: "orders", TracesFile: file}); err == nil {
		t.Error("no error")
	}
}
