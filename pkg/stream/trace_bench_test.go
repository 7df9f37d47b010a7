package stream

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// nowhere takes spans from the batcher as an exporter would, and drops them.
type nowhere struct{}

func (nowhere) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return nil }
func (nowhere) Shutdown(context.Context) error                             { return nil }

// BenchmarkSpans measures what tracing adds to a batch of 100 records, of which so
// many percent belong to recorded traces.
func BenchmarkSpans(b *testing.B) {
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithBatcher(nowhere{})))
	c := &Consumer{cfg: Config{Group: "group"}}
	for _, percent := range []int{0, 5, 100} {
		b.Run(fmt.Sprint(percent, "%"), func(b *testing.B) {
			batch := make([]Record, 100)
			for i := range batch {
				flags := "00"
				if i < percent {
					flags = "01"
				}
				batch[i].lane = &lane{topic: "topic"}
				batch[i].TraceParent = "00-" + strings.Repeat("1", 32) + "-" + strings.Repeat("1", 16) + "-" + flags
			}
			b.ReportAllocs()
			for b.Loop() {
				_, spans := c.startSpans(b.Context(), batch)
				endSpans(spans, batch, nil, done)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/record")
		})
	}
}

// Nearly all records belong to traces that nobody records.
func TestUnsampledRecordsCostNothing(t *testing.T) {
	batch := make([]Record, 100)
	for i := range batch {
		batch[i].TraceParent = "00-" + strings.Repeat("1", 32) + "-" + strings.Repeat("1", 16) + "-00"
	}
	c := &Consumer{}
	if n := testing.AllocsPerRun(10, func() {
		_, spans := c.startSpans(t.Context(), batch)
		endSpans(spans, batch, nil, done)
	}); n > 0 {
		t.Errorf("%v allocations for 100 records, want none", n)
	}
}
