package stream_test

import (
	"crypto/rand"
	"testing"
	"time"

	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/stream"
)

// TestOversize: a record that is too large reaches no handler; it is in the DLQ
// as it was, also when it is as large as its source takes; and when more is
// allowed, a replay is handled.
func TestOversize(t *testing.T) {
	b := setup(t, 1)
	// With its headers it is just what a topic takes by default; with ours added,
	// it no longer would be.
	largest := make([]byte, 1<<20-400)
	if _, err := rand.Read(largest); err != nil {
		t.Fatal(err)
	}
	cfg := b.config()
	cfg.Kafka.MaxRecordBytes = 10
	stop := b.run(cfg)
	b.send(0, "a", "0123456789", "0123456789x")
	b.produce(message.New(b.topic, "test.v1.Thing", "/test", "b", 1, largest, time.Now()).Record())
	b.send(0, "c", "fits")
	letters := b.read(b.dlq(), 2)
	b.eventually("the others are handled", func() bool { return b.journal.count() == 2 && b.lag() == 0 })
	sent := b.read(b.topic, 4)
	for i, original := range sent[1:3] {
		o, _ := stream.ReadOrigin(letters[i])
		assertLetter(t, original, letters[i], stream.ReasonOversize, o.Message)
	}
	stop()
	cfg.Kafka.MaxRecordBytes = 1 << 20
	b.run(cfg)
	b.replay(letters[1])
	b.eventually("handled", func() bool { return len(b.journal.of("b")) == 1 && b.lag() == 0 })
}
