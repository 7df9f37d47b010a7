package stream_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/stream"
	"example.com/ballast/pkg/testkit"
)

// lines is a log that can be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), text)
}

// A broker that goes away between the handler's commit and the consumer's must
// not end the process: the records come again. It is kfake's own, since it is
// taken away.
func TestBrokerAwayAtCommit(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	opts := kafka.Options(cluster.ListenAddrs(), "test")
	client, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := kafka.EnsureTopics(t.Context(), client, []kafka.Topic{{Name: "t"}}); err != nil {
		t.Fatal(err)
	}
	m := message.New("t", "test.v1.Message", "/test", "key", 1, []byte("value"), time.Now())
	if err := client.ProduceSync(t.Context(), m.Record()).FirstErr(); err != nil {
		t.Fatal(err)
	}
	log := &lines{}
	patient := settings(cluster.ListenAddrs(), time.Second)
	patient.SessionTimeout = 6 * time.Second // Else it would try to join again first.
	c, err := stream.New(stream.Config{
		Kafka: patient, Group: "g", Topics: []string{"t"}, Logger: slog.New(slog.NewTextHandler(log, nil)),
		Handler: func(context.Context, []stream.Record) error { cluster.Close(); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	testkit.Eventually(t, "the consumer says that it could not commit", func() bool { return log.has("offsets not committed") })
	cancel()
	if err := <-done; err != nil {
		t.Errorf("end of the consumer: %v", err)
	}
}

// TestAMemberThatIsCutOffForgetsTheLag: it would hold an alert with what it knew
// once, while the others know better.
func TestAMemberThatIsCutOffForgetsTheLag(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(kafka.Options(cluster.ListenAddrs(), "test")...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	m := message.New("t", "test.v1.Message", "/test", "key", 1, []byte("value"), time.Now())
	if err := client.ProduceSync(t.Context(), m.Record()).FirstErr(); err != nil { // Before its first commit a group has no lag.
		t.Fatal(err)
	}
	metrics := testkit.NewMetrics()
	known := settings(cluster.ListenAddrs(), time.Second)
	known.SessionTimeout = 6 * time.Second // The least that a broker takes by default.
	c, err := stream.New(stream.Config{
		Kafka: known, Group: "g", Topics: []string{"t"}, Logger: slog.New(slog.DiscardHandler),
		Meter: metrics.Meter("test"), Handler: func(context.Context, []stream.Record) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	c.KeepLags(2 * time.Second)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	shown := func() (lag, letters bool) {
		values, err := metrics.Values(t)
		if err != nil {
			t.Error(err)
		}
		_, lag = values["stream.lag{group=g,partition=0,topic=t}"]
		_, letters = values["stream.dead.letters.open{group=g,topic=t}"]
		return lag, letters
	}
	testkit.Eventually(t, "both are known", func() bool { lag, letters := shown(); return lag && letters })
	cluster.Close()
	testkit.Eventually(t, "neither is", func() bool { lag, letters := shown(); return !lag && !letters })
	cancel()
	if err := <-done; err != nil {
		t.Errorf("end of the consumer: %v", err)
	}
}
