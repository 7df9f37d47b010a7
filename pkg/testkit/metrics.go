package testkit

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// Metrics is what a test sees of metrics.
type Metrics struct {
	reader *sdk.ManualReader
	metric.MeterProvider
}

// NewMetrics returns a meter provider of the test's own.
func NewMetrics() *Metrics {
	reader := sdk.NewManualReader()
	return &Metrics{reader, sdk.NewMeterProvider(sdk.WithReader(reader))}
}

// GlobalMetrics makes it the process's until the test ends, for code that takes
// its meter from there. The test must not be parallel.
func GlobalMetrics(t testing.TB) *Metrics {
	t.Helper()
	m, before := NewMetrics(), otel.GetMeterProvider()
	otel.SetMeterProvider(m)
	t.Cleanup(func() { otel.SetMeterProvider(before) })
	return m
}

// Values are all series by name and attributes, such as
//
//	lease.leading{lease=outbox}
//
// A histogram is the number of its observations, and the sum of them under its
// name with ".sum". An error of a callback, as with a database that is away, is
// the test's to judge: what others have observed is there all the same.
func (m *Metrics) Values(t testing.TB) (values map[string]float64, callbacks error) {
	t.Helper()
	var all metricdata.ResourceMetrics
	callbacks = m.reader.Collect(t.Context(), &all)
	values = map[string]float64{}
	for _, scope := range all.ScopeMetrics {
		for _, metric := range scope.Metrics {
			add(values, metric)
		}
	}
	return values, callbacks
}

// Exemplars are the ids of the traces that a histogram leads to, by what was
// observed there.
func (m *Metrics) Exemplars(t testing.TB, name string) map[float64]string {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := m.reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	traces := map[float64]string{}
	for _, scope := range all.ScopeMetrics {
		for _, metric := range scope.Metrics {
			data, ok := metric.Data.(metricdata.Histogram[float64])
			if metric.Name != name || !ok {
				continue
			}
			for _, p := range data.DataPoints {
				for _, e := range p.Exemplars {
					traces[e.Value] = hex.EncodeToString(e.TraceID)
				}
			}
		}
	}
	return traces
}

func add(values map[string]float64, m metricdata.Metrics) {
	switch data := m.Data.(type) {
	case metricdata.Sum[int64]:
		points(values, m.Name, data.DataPoints)
	case metricdata.Sum[float64]:
		points(values, m.Name, data.DataPoints)
	case metricdata.Gauge[int64]:
		points(values, m.Name, data.DataPoints)
	case metricdata.Gauge[float64]:
		points(values, m.Name, data.DataPoints)
	case metricdata.Histogram[int64]:
		observations(values, m.Name, data.DataPoints)
	case metricdata.Histogram[float64]:
		observations(values, m.Name, data.DataPoints)
	}
}

func points[N int64 | float64](values map[string]float64, name string, points []metricdata.DataPoint[N]) {
	for _, p := range points {
		values[series(name, p.Attributes)] = float64(p.Value)
	}
}

func observations[N int64 | float64](values map[string]float64, name string, points []metricdata.HistogramDataPoint[N]) {
	for _, p := range points {
		values[series(name, p.Attributes)] = float64(p.Count)
		values[series(name+".sum", p.Attributes)] = float64(p.Sum)
	}
}

func series(name string, attributes attribute.Set) string {
	if attributes.Len() == 0 {
		return name
	}
	var labels []string
	for _, kv := range attributes.ToSlice() {
		labels = append(labels, fmt.Sprintf("%s=%s", kv.Key, kv.Value.String()))
	}
	return name + "{" + strings.Join(labels, ",") + "}"
}
