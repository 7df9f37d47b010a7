package stream_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/stream"
)

// TestMetrics: what happens to records can be seen from outside.
func TestMetrics(t *testing.T) {
	b := setup(t, 1)
	reader := sdk.NewManualReader()
	provider := sdk.NewMeterProvider(sdk.WithReader(reader))
	cfg := b.faultConfig()
	cfg.Meter = provider.Meter("test")
	b.journal.fail = func(i int, r stream.Record) error {
		if string(r.Value) == "x" {
			return stream.Reject(i, errors.New("no"))
		}
		return faulty("1", 1)(i, r)
	}
	b.send(0, "a", "0", "1", "2")
	b.send(0, "b", "x", "3")
	b.run(cfg)
	b.eventually("all is committed", func() bool { return b.journal.count() == 4 && b.lag() == 0 })
	got := collect(t, reader)
	for name, want := range map[string]uint64{
		stream.MetricBrokerWait:                5,
		stream.MetricEventAge:                  4, // not of the one that is rejected
		stream.MetricDeadLetters + "/rejected": 1,
		stream.MetricSetAside + "/fault":       1,
		stream.MetricSetAside + "/parked":      1,
	} {
		if got[name] != want {
			t.Errorf("%s is %d, want %d", name, got[name], want)
		}
	}
	for _, name := range []string{stream.MetricLocalWait, stream.MetricProcess, stream.MetricBatch} {
		if got[name] == 0 {
			t.Errorf("%s is missing", name)
		}
	}
	b.eventually("the dead letter waits for a person", func() bool { return collect(t, reader)[stream.MetricDeadLettersOpen+"/"] == 1 })
	b.journal.failWith(func(int, stream.Record) error { return errDown })
	b.send(0, "a", "4")
	paused := stream.MetricPaused + "/" + stream.PausedTransient
	b.eventually("paused", func() bool { return collect(t, reader)[paused] == 1 })
	b.journal.failWith(nil)
	b.eventually("goes on", func() bool { return collect(t, reader)[paused] == 0 })
	if d := cmp.Diff(numbers(5)[4:], b.journal.of("a")[3:]); d != "" {
		t.Error(d)
	}
}

// TestLag: what waits is known while the consumer is paused too; what is parked
// waits for nobody.
func TestLag(t *testing.T) {
	b := setup(t, 1)
	reader := sdk.NewManualReader()
	cfg := b.faultConfig()
	cfg.Meter = sdk.NewMeterProvider(sdk.WithReader(reader)).Meter("test")
	cfg.Kafka.RetryDelays[0] = 3 * time.Second
	b.journal.fail = faulty("0", 1)
	c, _ := b.member(cfg)
	b.eventually("the retry topic is there", func() bool { return b.count(b.retry()) == 0 })
	b.produce(message.New(b.retry(), "test.v1.Thing", "/test", "c", 1, nil, time.Now()).Record())
	b.eventually("its lag is known from the first commit on", func() bool { return b.journal.count() == 1 })
	b.send(0, "a", numbers(2)...)
	b.eventually("parked", func() bool { return b.count(b.retry()) == 3 })
	b.journal.failWith(func(int, stream.Record) error { return errDown })
	b.send(0, "b", numbers(5)...)
	b.eventually("five wait", func() bool { return c.Lag() == 5 && collect(t, reader)[stream.MetricLag+"/"] > 0 })
	if n := b.lag(); n != 7 {
		t.Errorf("%d with those that are parked, want 7", n)
	}
	b.journal.failWith(nil)
	b.eventually("none waits", func() bool { return c.Lag() == 0 && b.lag() == 0 })
}

// collect returns counts and gauges by name, counters and gauges with their reason.
func collect(t *testing.T, reader *sdk.ManualReader) map[string]uint64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.WithoutCancel(t.Context()), &all); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]uint64)
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					got[m.Name] += p.Count
				}
			case metricdata.Histogram[int64]:
				for _, p := range data.DataPoints {
					got[m.Name] += p.Count
				}
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					reason, _ := p.Attributes.Value("reason")
					got[m.Name+"/"+reason.AsString()] += uint64(p.Value)
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					reason, _ := p.Attributes.Value("reason")
					got[m.Name+"/"+reason.AsString()] = uint64(p.Value)
				}
			}
		}
	}
	return got
}
