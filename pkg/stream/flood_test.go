package stream_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/stream"
)

// TestMalformedFlood: more malformed records in a row than are allowed delay
// what comes behind them; the good ones of their batch they do not even delay.
func TestMalformedFlood(t *testing.T) {
	b := setup(t, 1)
	cfg := b.config()
	cfg.Kafka.MaxFaultsPerMinute = 60
	cfg.MaxBatch = 65
	faults := paused(t, &cfg, stream.PausedFaults)
	bad := make([]*kgo.Record, 63)
	for i := range bad {
		bad[i] = &kgo.Record{Topic: b.topic, Value: []byte("no message")}
	}
	if err := b.client.ProduceSync(t.Context(), bad...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	b.send(0, "a", "same batch")
	b.send(0, "b", "same batch")
	b.send(0, "c", "behind")
	b.run(cfg)
	b.eventually("the good ones of the batch are handled", func() bool { return b.journal.count() >= 2 })
	if n := b.count(b.dlq()); n >= 63 {
		t.Errorf("%d records in the DLQ before the good ones of their batch were handled, want some to wait", n)
	}
	b.eventually("what comes behind it is handled", func() bool { return b.journal.count() == 3 && b.lag() == 0 && !faults() })
	if n := b.count(b.dlq()); n != 63 {
		t.Errorf("%d records in the DLQ, want 63", n)
	}
}

// TestRejectedAmongGood: more rejected records than are allowed hold up neither
// the good ones of their batch nor, for ever, what comes behind; and a rejection
// past which later records of its key have gone is final.
func TestRejectedAmongGood(t *testing.T) {
	b := setup(t, 1)
	cfg := b.config()
	cfg.Kafka.MaxFaultsPerMinute = 30
	cfg.MaxBatch = 34
	for i := range 32 {
		b.send(0, "a", fmt.Sprint("bad-", i))
	}
	b.send(0, "a", "same batch", "same batch, too", "behind")
	b.journal.fail = func(i int, r stream.Record) error {
		if strings.HasPrefix(string(r.Value), "bad") {
			return stream.Reject(i, errors.New("unknown order"))
		}
		return nil
	}
	b.run(cfg)
	b.eventually("the good ones of the batch are handled", func() bool { return b.journal.count() == 2 })
	if n := b.count(b.dlq()); n < 30 || n >= 32 {
		t.Errorf("%d records in the DLQ when the good ones were handled, want the 30 that are allowed at once", n)
	}
	b.journal.failWith(nil) // It would accept them now: too late.
	b.eventually("what comes behind is handled", func() bool { return b.journal.count() >= 3 && b.lag() == 0 })
	if d := cmp.Diff([]string{"same batch", "same batch, too", "behind"}, b.journal.of("a")); d != "" {
		t.Error(d)
	}
	if n := b.count(b.dlq()); n != 32 {
		t.Errorf("%d records in the DLQ, want 32", n)
	}
}
