package stream_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/stream"
	"example.com/ballast/pkg/testkit"
)

// BenchmarkConsume measures the consumer and its client by record, with a
// handler that does nothing, from a backlog.
func BenchmarkConsume(b *testing.B) {
	bench := benchTopic(b)
	for range b.N {
		bench.client.Produce(b.Context(), bench.record(), nil)
	}
	if err := bench.client.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	var handled atomic.Int64
	all := make(chan struct{})
	bench.cfg.Handler = func(_ context.Context, batch []stream.Record) error {
		if handled.Add(int64(len(batch))) == int64(b.N) {
			close(all)
		}
		return nil
	}
	b.ReportAllocs()
	b.ResetTimer()
	bench.run(b)
	<-all
}

// BenchmarkLatency measures from the start of a produce to the handler, one
// record at a time.
func BenchmarkLatency(b *testing.B) {
	bench := benchTopic(b)
	arrived := make(chan struct{}, 1)
	bench.cfg.Handler = func(context.Context, []stream.Record) error { arrived <- struct{}{}; return nil }
	bench.run(b)
	send := func() {
		bench.client.Produce(b.Context(), bench.record(), nil)
		<-arrived
	}
	send() // The group has formed.
	var worst time.Duration
	for b.Loop() {
		start := time.Now()
		send()
		worst = max(worst, time.Since(start))
	}
	b.ReportMetric(float64(worst.Microseconds())/1000, "worst-ms")
}

type benchmark struct {
	cfg    stream.Config
	client *kgo.Client
}

func benchTopic(b *testing.B) benchmark {
	b.Helper()
	s := settings(testkit.Kafka(b), time.Second)
	client, err := kgo.NewClient(s.Options("bench")...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(client.Close)
	cfg := stream.Config{Kafka: s, Group: testkit.Unique(b, "group"), Topics: []string{testkit.Unique(b, "topic")}, Logger: slog.New(slog.DiscardHandler)}
	if err := kafka.EnsureTopics(b.Context(), client, []kafka.Topic{{Name: cfg.Topics[0]}}); err != nil {
		b.Fatal(err)
	}
	return benchmark{cfg, client}
}

func (m benchmark) record() *kgo.Record {
	return message.New(m.cfg.Topics[0], "test.v1.Thing", "/test", "key", 1, make([]byte, 100), time.Now()).Record()
}

func (m benchmark) run(b *testing.B) {
	b.Helper()
	c, err := stream.New(m.cfg)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
}
