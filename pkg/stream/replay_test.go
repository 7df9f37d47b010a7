package stream_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/stream"
)

// rejectX rejects value x for good.
func rejectX(i int, r stream.Record) error {
	if string(r.Value) == "x" {
		return stream.Reject(i, errFault)
	}
	return nil
}

// replay sends a dead letter back as an operator's tool does.
func (b *bench) replay(letter *kgo.Record) {
	b.t.Helper()
	o, ok := stream.ReadOrigin(letter)
	if !ok {
		b.t.Fatal("a dead letter without an origin")
	}
	b.produce(stream.ReplayRecord(letter, o))
}

// TestReplay: a dead letter goes back through the group's retry topic and is
// handled as it once was; so is a record that an operator wrote there by hand.
func TestReplay(t *testing.T) {
	b := setup(t, 2)
	b.journal.fail = rejectX
	b.run(b.config())
	b.send(1, "a", "x")
	letter := b.read(b.dlq(), 1)[0]
	b.journal.failWith(nil)
	b.replay(letter)
	b.eventually("handled", func() bool { return b.journal.count() == 1 })
	bare := message.New(b.retry(), "test.v1.Thing", "/test", "a", 1, []byte("bare"), time.Now()).Record()
	bare.Partition = 1
	b.produce(bare)
	b.eventually("handled", func() bool { return b.journal.count() == 2 })
	b.eventually("all is committed", func() bool { return b.lag() == 0 })
	if d := cmp.Diff([]string{"x", "bare"}, b.journal.of("a")); d != "" {
		t.Error(d)
	}
}

// TestReplayKeepsWhatItWas: whatever becomes of a replayed record, its next
// dead letter says how often it was replayed, when it first failed and where it
// came from, and it has had all its attempts again.
func TestReplayKeepsWhatItWas(t *testing.T) {
	for name, fail := range map[string]func(int, stream.Record) error{
		"rejected": rejectX,
		"fault":    func(int, stream.Record) error { panic("boom") },
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t, 2)
			b.journal.fail = fail
			b.run(b.config())
			b.send(1, "a", "x")
			sent := b.read(b.topic, 1)[0]
			first, _ := stream.ReadOrigin(b.read(b.dlq(), 1)[0])
			for replays := 1; replays <= 2; replays++ {
				b.replay(b.read(b.dlq(), replays)[replays-1])
				letter := b.read(b.dlq(), replays+1)[replays]
				want := first
				want.Replays = replays
				got, _ := stream.ReadOrigin(letter)
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("replay %d: %s", replays, d)
				}
				assertLetter(t, sent, letter, name, first.Message)
				original := stream.Original(letter)
				if d := cmp.Diff([]string{sent.Topic, strconv.FormatInt(sent.Offset, 10), string(sent.Value)},
					[]string{original.Topic, strconv.FormatInt(original.Offset, 10), string(original.Value)}); d != "" {
					t.Errorf("original: %s", d)
				}
				if d := cmp.Diff(sent.Headers, original.Headers); d != "" {
					t.Errorf("original headers: %s", d)
				}
			}
			b.eventually("all is committed", func() bool { return b.lag() == 0 })
		})
	}
}

// TestReplayWaitsBehindItsKey: what is parked already stays in front of a
// replayed record of the same key, and later records of the key stay behind it.
func TestReplayWaitsBehindItsKey(t *testing.T) {
	b := setup(t, 1)
	b.journal.fail = rejectX
	cfg := b.faultConfig()
	cfg.Kafka.RetryDelays[0] = 500 * time.Millisecond
	b.run(cfg)
	b.send(0, "a", "x")
	letter := b.read(b.dlq(), 1)[0]
	b.journal.failWith(faulty("0", 1))
	b.send(0, "a", "0")
	b.eventually("parked", func() bool { return b.count(b.retry()) == 1 })
	b.replay(letter)
	b.send(0, "a", "1")
	b.eventually("all is handled", func() bool { return b.journal.count() == 3 && b.lag() == 0 })
	if d := cmp.Diff([]string{"0", "x", "1"}, b.journal.of("a")); d != "" {
		t.Error(d)
	}
}
