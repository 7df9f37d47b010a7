package stream_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/stream"
	"example.com/ballast/pkg/testkit"
)

// bench is a topic with a group that consumes it, on a Kafka of its own or on a
// shared one (KAFKA_BROKERS).
type bench struct {
	t            *testing.T
	topic, group string
	brokers      []string
	opts         []kgo.Opt
	client       *kgo.Client
	journal      journal
}

func setup(t *testing.T, partitions int32) *bench {
	t.Helper()
	t.Parallel()
	b := &bench{t: t, topic: testkit.Unique(t, "orders"), group: testkit.Unique(t, "group")}
	b.brokers = testkit.Kafka(t)
	b.opts = kafka.Options(b.brokers, "test")
	client, err := kgo.NewClient(append(b.opts, stream.ReplayOptions()...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	b.client = client
	b.makeTopic(partitions)
	return b
}

func (b *bench) makeTopic(partitions int32) {
	b.t.Helper()
	topics := []kafka.Topic{{Name: b.topic, Partitions: partitions}}
	if err := kafka.EnsureTopics(b.t.Context(), b.client, topics); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) retry() string { return kafka.RetryTopic(b.topic, b.group) }
func (b *bench) dlq() string   { return kafka.DLQTopic(b.topic, b.group) }

// config has short delays; the handler writes to the journal.
func (b *bench) config() stream.Config {
	return stream.Config{
		Kafka: settings(b.brokers, 50*time.Millisecond, 100*time.Millisecond),
		Group: b.group, Topics: []string{b.topic},
		Handler: b.journal.handle, InPlace: 2,
		Logger: slog.New(slog.NewTextHandler(logWriter{b.t}, nil)),
	}
}

func settings(brokers []string, retryDelays ...time.Duration) kafka.Settings {
	return kafka.Settings{
		Brokers: brokers, Partitions: 1, Replication: 1,
		SessionTimeout: 2 * time.Second, RetryDelays: retryDelays, MaxFaultsPerMinute: 600, MaxRecordBytes: 1 << 18,
	}
}

// run starts a member of the group. stop ends it and waits until it has left.
func (b *bench) run(cfg stream.Config) (stop func()) {
	b.t.Helper()
	_, stop = b.member(cfg)
	return stop
}

func (b *bench) member(cfg stream.Config) (c *stream.Consumer, stop func()) {
	b.t.Helper()
	c, err := stream.New(cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				b.t.Errorf("Run: %v", err)
			}
		case <-time.After(30 * time.Second):
			b.t.Error("Run does not end")
		}
	})
	b.t.Cleanup(stop)
	return c, stop
}

// send produces one message per value to the partition, all of one key.
func (b *bench) send(partition int32, key string, values ...string) {
	b.t.Helper()
	for _, v := range values {
		r := message.New(b.topic, "test.v1.Thing", "/test", key, 1, []byte(v), time.Now()).Record()
		r.Partition = partition
		b.produce(r)
	}
}

func (b *bench) produce(r *kgo.Record) {
	b.t.Helper()
	if err := b.client.ProduceSync(b.t.Context(), r).FirstErr(); err != nil {
		b.t.Fatal(err)
	}
}

// read returns the first n records of a topic.
func (b *bench) read(topic string, n int) []*kgo.Record {
	b.t.Helper()
	client, err := kgo.NewClient(append(b.opts, kgo.ConsumeTopics(topic), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		b.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(b.t.Context(), 10*time.Second)
	defer cancel()
	var records []*kgo.Record
	for len(records) < n {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			b.t.Fatalf("%d records in %s, want %d", len(records), topic, n)
		}
		records = append(records, fetches.Records()...)
	}
	return records
}

// count returns how many records were ever written to a topic.
func (b *bench) count(topic string) int64 {
	b.t.Helper()
	ends, err := kadm.NewClient(b.client).ListEndOffsets(b.t.Context(), topic)
	if err != nil {
		b.t.Fatal(err)
	}
	var n int64
	ends.Each(func(o kadm.ListedOffset) { n += o.Offset })
	return n
}

// lag returns what the group has not committed, in all its topics.
func (b *bench) lag() int64 {
	b.t.Helper()
	lags, err := kafka.Lag(b.t.Context(), kadm.NewClient(b.client), b.group)
	if err != nil {
		b.t.Fatal(err)
	}
	var n int64
	for _, partitions := range lags {
		for _, l := range partitions {
			n += l
		}
	}
	return n
}

func (b *bench) eventually(what string, ok func() bool) {
	b.t.Helper()
	testkit.Eventually(b.t, what, ok)
}

// journal is what a database would be: the effects of the handler's batches.
type journal struct {
	mu      sync.Mutex
	calls   int
	done    []string // "key=value" in the order of the commits
	batches []int
	// fail decides about a record before the batch takes effect. It may panic.
	fail func(index int, r stream.Record) error
}

func (j *journal) handle(_ context.Context, batch []stream.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.calls++
	var errs []error
	for i, r := range batch {
		if j.fail == nil {
			break
		}
		if err := j.fail(i, r); err != nil {
			errs = append(errs, err)
		}
	}
	if errs != nil {
		return fmt.Errorf("handle: %w", errors.Join(errs...))
	}
	j.batches = append(j.batches, len(batch))
	for _, r := range batch {
		j.done = append(j.done, fmt.Sprintf("%s=%s", r.Key, r.Value))
	}
	return nil
}

func (j *journal) failWith(fail func(index int, r stream.Record) error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.fail = fail
}

func (j *journal) entries() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]string(nil), j.done...)
}

func (j *journal) count() int { return len(j.entries()) }

func (j *journal) callCount() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.calls
}

// of returns the values of one key in the order in which they took effect.
func (j *journal) of(key string) []string {
	var values []string
	for _, e := range j.entries() {
		if v, ok := cut(e, key+"="); ok {
			values = append(values, v)
		}
	}
	return values
}

func cut(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || s[:len(prefix)] != prefix {
		return "", false
	}
	return s[len(prefix):], true
}

// logWriter gives the consumer's log to the test's.
type logWriter struct{ t *testing.T }

func (w logWriter) Write(p []byte) (int, error) {
	if w.t.Context().Err() == nil { // A test that has ended takes no more.
		return w.t.Output().Write(p)
	}
	return len(p), nil
}
