package telemetry_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/protobuf/proto"

	"example.com/ballast/pkg/telemetry"
)

// Neither test is parallel: the providers are the process's.

// TestExemplarsLeadToTraces: a histogram in the OpenMetrics format, which Prometheus
// asks for, has the trace of the latest recorded span in each bucket, and of no other.
func TestExemplarsLeadToTraces(t *testing.T) {
	for _, name := range []string{"OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT"} {
		t.Setenv(name, "")
	}
	t.Setenv("OTEL_TRACES_SAMPLER", "always_on")
	tel, err := telemetry.Start(t.Context(), telemetry.Config{Service: "orders", TracesFile: t.TempDir() + "/traces", Output: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	wait, err := otel.Meter("test").Float64Histogram("test.wait", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(1, 2))
	if err != nil {
		t.Fatal(err)
	}
	ctx, span := otel.Tracer("test").Start(t.Context(), "slow")
	wait.Record(ctx, 1.5)
	wait.Record(t.Context(), 0.5)
	span.End()

	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody)
	req.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	answer := httptest.NewRecorder()
	tel.Metrics.ServeHTTP(answer, req)
	found := regexp.MustCompile(`(?m)^test_wait_seconds_bucket\{le="(.*)"\} .* # \{.*trace_id="(.*?)".*\} (\S+)`).FindAllStringSubmatch(answer.Body.String(), -1)
	if len(found) != 1 || found[0][1] != "2.0" || found[0][2] != span.SpanContext().TraceID().String() || found[0][3] != "1.5" {
		t.Errorf("want trace %s at 1.5 s: %q", span.SpanContext().TraceID(), found)
	}
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestScrapesAreBounded: while one hangs, the next ones don't gather behind it.
func TestScrapesAreBounded(t *testing.T) {
	for _, name := range []string{"OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT"} {
		t.Setenv(name, "")
	}
	tel, err := telemetry.Start(t.Context(), telemetry.Config{Service: "orders", Output: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	hangs, under := make(chan struct{}), make(chan struct{}, 100)
	tel.Registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "hangs", Help: "Waits for another machine."}, func() float64 {
		under <- struct{}{}
		<-hangs
		return 1
	}))
	var scrapes sync.WaitGroup
	scrape := func() int {
		answer := httptest.NewRecorder()
		tel.Metrics.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
		return answer.Code
	}
	for range 4 {
		scrapes.Go(func() {
			if code := scrape(); code != http.StatusOK {
				t.Errorf("one of the first: %d", code)
			}
		})
		<-under
	}
	next := make(chan int, 1)
	go func() { next <- scrape() }()
	select {
	case code := <-next:
		if code != http.StatusServiceUnavailable {
			t.Errorf("the next one: %d", code)
		}
	case <-under:
		t.Error("the next one hangs, too")
	}
	close(hangs)
	scrapes.Wait()
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestMetricsGoBothWays: to a collector, where one is set, and to whoever scrapes.
func TestMetricsGoBothWays(t *testing.T) {
	var mu sync.Mutex
	names := map[string]bool{}
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var sent collector.ExportMetricsServiceRequest
		if err != nil || proto.Unmarshal(body, &sent) != nil {
			t.Errorf("%s: no metrics: %v", r.URL.Path, err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, resource := range sent.GetResourceMetrics() {
			for _, scope := range resource.GetScopeMetrics() {
				for _, m := range scope.GetMetrics() {
					names[m.GetName()] = true
				}
			}
		}
	}))
	t.Cleanup(receiver.Close)
	for name, value := range map[string]string{
		"OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "otlp",
		"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.URL, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
	} {
		t.Setenv(name, value)
	}
	tel, err := telemetry.Start(t.Context(), telemetry.Config{Service: "orders", Output: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	answer := httptest.NewRecorder()
	tel.Metrics.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	if !regexp.MustCompile(`(?m)^build_info\{.*\} 1$`).MatchString(answer.Body.String()) {
		t.Errorf("/metrics has no build_info:\n%s", answer.Body.String())
	}
	if err := tel.Shutdown(t.Context()); err != nil { // It sends what is waiting.
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if !names["build.info"] || !names["go.goroutine.count"] {
		t.Errorf("sent: %v", names)
	}
}
