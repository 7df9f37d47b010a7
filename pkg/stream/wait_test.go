package stream_test

import (
	"context"
	"testing"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/stream"
)

// TestTheWaitIsFromTheBrokerToThePoll: neither the time before the broker had the
// record counts nor that of the handler; the age counts from the making.
func TestTheWaitIsFromTheBrokerToThePoll(t *testing.T) {
	b := setup(t, 1)
	reader := sdk.NewManualReader()
	cfg := b.config()
	cfg.Meter = sdk.NewMeterProvider(sdk.WithReader(reader)).Meter("test")
	entered := make(chan time.Time, 1)
	cfg.Handler = func(ctx context.Context, batch []stream.Record) error {
		entered <- time.Now()
		return b.journal.handle(ctx, batch)
	}
	// Kafka's clock has milliseconds.
	written := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	made := written.Add(-time.Hour)
	r := message.New(b.topic, "test.v1.Thing", "/test", "a", 1, nil, made).Record()
	r.Timestamp = written
	b.produce(r)
	b.run(cfg)
	b.eventually("it is handled", func() bool { return b.journal.count() == 1 && b.lag() == 0 })
	handled := <-entered
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	for name, begin := range map[string]time.Time{stream.MetricBrokerWait: written, stream.MetricEventAge: made} {
		least, most := time.Minute, handled.Sub(begin)
		if name == stream.MetricEventAge {
			least += time.Hour
		}
		for _, m := range all.ScopeMetrics[0].Metrics {
			data, _ := m.Data.(metricdata.Histogram[float64])
			if m.Name != name {
				continue
			}
			if p := data.DataPoints[0]; p.Count != 1 || p.Sum < least.Seconds() || p.Sum > most.Seconds() {
				t.Errorf("%s: %d records, %f s; want from %s to %s, when the handler began", name, p.Count, p.Sum, least, most)
			}
		}
	}
}
