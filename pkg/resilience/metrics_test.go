package resilience_test

import (
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"example.com/ballast/pkg/resilience"
)

// TestEveryGuardShowsItsState: several guards of a process share one metric, and
// each must be seen in it. Not parallel: the meter provider is the process's.
func TestEveryGuardShowsItsState(t *testing.T) {
	reader := sdk.NewManualReader()
	before := otel.GetMeterProvider()
	otel.SetMeterProvider(sdk.NewMeterProvider(sdk.WithReader(reader)))
	t.Cleanup(func() { otel.SetMeterProvider(before) })
	for _, name := range []string{"a", "b"} {
		if _, err := resilience.New(resilience.Config{Name: name, Logger: slog.New(slog.DiscardHandler)}); err != nil {
			t.Fatal(err)
		}
	}
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	states := map[string]int64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if gauge, ok := m.Data.(metricdata.Gauge[int64]); ok && m.Name == resilience.MetricDependencyBreakerState {
				for _, point := range gauge.DataPoints {
					name, _ := point.Attributes.Value("dependency")
					states[name.AsString()] = point.Value
				}
			}
		}
	}
	if diff := cmp.Diff(map[string]int64{"a": 0, "b": 0}, states); diff != "" {
		t.Error(diff)
	}
}
