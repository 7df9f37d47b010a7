package telemetry_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"example.com/ballast/pkg/telemetry"
)

// One test, not parallel: the providers are the process's.
func TestStart(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	var out bytes.Buffer
	tel, err := telemetry.Start(t.Context(), telemetry.Config{Service: "orders", Version: "v1", Level: slog.LevelInfo, Output: &out})
	if err != nil {
		t.Fatal(err)
	}
	// A trace that arrives goes on, though this process exports nothing.
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	ctx := otel.GetTextMapPropagator().Extract(t.Context(), propagation.MapCarrier{"traceparent": parent})
	ctx, span := otel.Tracer("test").Start(ctx, "work")
	defer span.End()
	if got := trace.SpanContextFromContext(ctx).TraceID().String(); got != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("trace id %s", got)
	}

	tel.Logger.With("count", 1).InfoContext(ctx, "hello", "limit", 2)
	tel.Logger.DebugContext(ctx, "quiet")
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	for k, want := range map[string]any{"msg": "hello", "service": "orders", "count": 1.0, "limit": 2.0, "trace_id": "0af7651916cd43dd8448eb211c80319c"} {
		if line[k] != want {
			t.Errorf("%s is %v, want %v", k, line[k], want)
		}
	}

	for name, seconds := range map[string]float64{"test.wait": 70, "rpc.server.call.duration": 0.0007} {
		h, err := otel.Meter("test").Float64Histogram(name, metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(30, 60, 90))
		if err != nil {
			t.Fatal(err)
		}
		h.Record(ctx, seconds)
	}
	w := httptest.NewRecorder()
	tel.Metrics.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	for _, want := range []string{
		// Ours keep their buckets, a library's are set.
		`test_wait_seconds_bucket{le="60"} 0`, `test_wait_seconds_bucket{le="90"} 1`,
		`rpc_server_call_duration_seconds_bucket{le="0.0005"} 0`, `rpc_server_call_duration_seconds_bucket{le="0.001"} 1`,
		`build_info{go_version="go1.`, "process_resident_memory_bytes", "go_goroutine_count", "go_memory_used_bytes", `service_name="orders"`,
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s is missing", want)
		}
	}
	if t.Failed() {
		t.Log(w.Body.String())
	}
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestBadExporterIsNamed(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "pigeon")
	_, err := telemetry.Start(t.Context(), telemetry.Config{Service: "orders"})
	if err == nil || !strings.Contains(err.Error(), "OTEL_TRACES_EXPORTER") || !strings.Contains(err.Error(), "pigeon") {
		t.Errorf("want the variable and its value: %v", err)
	}
}
