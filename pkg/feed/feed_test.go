package feed_test

import (
	"context"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/feed"
	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// producer makes a topic and returns a function that appends a version of a key.
func producer(t *testing.T, brokers []string, topic string) func(key string, version int64) {
	t.Helper()
	client, err := kgo.NewClient(kafka.Options(brokers, "test")...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if err := kafka.EnsureTopics(t.Context(), client, []kafka.Topic{{Name: topic, Partitions: 2, Replication: 1}}); err != nil {
		t.Fatal(err)
	}
	return func(key string, version int64) {
		m := message.Message{
			ID: key + strconv.FormatInt(version, 10), Topic: topic, Type: "test.v1.Changed", Source: "/test",
			Key: []byte(key), Time: time.Now(), Version: version,
		}
		if err := client.ProduceSync(t.Context(), m.Record()).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// Every feed sees all that was appended since it was opened, also before Run, and
// nothing older; a record that is no message is left out.

func TestEveryFeedSeesEverythingNew(t *testing.T) {
	t.Parallel()
	brokers, topic := testkit.Kafka(t), testkit.Unique(t, "feed")
	produce := producer(t, brokers, topic)
	produce("old", 1)
	type seen struct {
		Key     string
		Version int64
	}
	var feeds [2]*feed.Feed
	var got [2]chan seen
	for i := range feeds {
		f, err := feed.Open(t.Context(), feed.Config{
			Client: kafka.Options(brokers, "test"), Topics: []string{topic}, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		got[i] = make(chan seen, 100)
		f.Subscribe(func(_ context.Context, batch []message.Message) {
			for _, m := range batch {
				got[i] <- seen{string(m.Key), m.Version}
			}
		})
		feeds[i] = f
	}
	garbage, err := kgo.NewClient(kafka.Options(brokers, "test")...)
	if err != nil {
		t.Fatal(err)
	}
	defer garbage.Close()
	produce("a", 1)
	if err := garbage.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Key: []byte("a"), Value: []byte("?")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, len(feeds))
	for _, f := range feeds {
		go func() { done <- f.Run(ctx) }()
	}
	produce("a", 2)
	produce("a", 3)
	for i := range feeds {
		var all []seen
		for range 3 {
			select {
			case s := <-got[i]:
				all = append(all, s)
			case <-time.After(10 * time.Second):
				t.Fatalf("feed %d saw %v and no more", i, all)
			}
		}
		if diff := cmp.Diff([]seen{{"a", 1}, {"a", 2}, {"a", 3}}, all); diff != "" {
			t.Errorf("feed %d: %s", i, diff)
		}
	}
	stop()
	for range feeds {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestATopicThatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	_, err := feed.Open(t.Context(), feed.Config{
		Client: kafka.Options(testkit.Kafka(t), "test"), Topics: []string{testkit.Unique(t, "missing")}, Logger: slog.New(slog.DiscardHandler),
	})
	if err == nil {
		t.Error("no error for a topic that does not exist")
	}
}
