package stream_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/stream"
)

var errDown = errors.New("database is down")

func numbers(n int) []string {
	s := make([]string, n)
	for i := range s {
		s[i] = strconv.Itoa(i)
	}
	return s
}

func header(r *kgo.Record, key string) string {
	for _, h := range slices.Backward(r.Headers) {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

func TestBatchesInOrder(t *testing.T) {
	b := setup(t, 2)
	b.send(0, "a", numbers(20)...)
	b.send(1, "b", numbers(20)...)
	cfg := b.config()
	cfg.MaxBatch = 8
	stop := b.run(cfg)
	b.eventually("all handled", func() bool { return b.journal.count() == 40 })
	stop()
	for _, key := range []string{"a", "b"} {
		if d := cmp.Diff(numbers(20), b.journal.of(key)); d != "" {
			t.Errorf("key %s: %s", key, d)
		}
	}
	if n := slices.Max(b.journal.batches); n > 8 || n < 2 {
		t.Errorf("largest batch has %d records, want 2 to 8", n)
	}
	if n := b.lag(); n != 0 {
		t.Errorf("%d records are not committed", n)
	}
}

// TestTransient: unknown errors and those that Config.Transient claims hold up
// everything, are charged to no record and lose none.
func TestTransient(t *testing.T) {
	for name, fail := range map[string]func(i int) error{
		"unknown":           func(int) error { return errDown },
		"deadline":          func(int) error { return context.DeadlineExceeded },
		"inside a reject":   func(i int) error { return stream.Reject(i, errDown) },
		"claimed by both":   func(int) error { return fmt.Errorf("query: %w", errDown) },
		"thrown as a panic": func(int) error { panic(errDown) },
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t, 1)
			b.send(0, "a", numbers(5)...)
			cfg := b.config()
			cfg.Transient = func(err error) bool { return errors.Is(err, errDown) }
			cfg.RecordFault = func(error) bool { return name == "claimed by both" }
			b.journal.fail = func(i int, _ stream.Record) error { return fail(i) }
			b.run(cfg)
			b.eventually("tried beyond the budget", func() bool { return b.journal.callCount() > 5 })
			if n := b.lag(); n != 5 {
				t.Errorf("lag %d while nothing is handled, want 5", n)
			}
			b.journal.failWith(nil)
			b.eventually("handled", func() bool { return b.journal.count() >= 5 })
			b.eventually("committed", func() bool { return b.lag() == 0 })
			if d := cmp.Diff(numbers(5), b.journal.of("a")); d != "" {
				t.Error(d)
			}
			if n := b.count(b.dlq()) + b.count(b.retry()); n != 0 {
				t.Errorf("%d records were set aside for a transient error", n)
			}
		})
	}
}

// TestReject: rejected records are in the DLQ as they were, with their origin;
// the others have taken effect.
func TestReject(t *testing.T) {
	b := setup(t, 2)
	reason := errors.New("no such product")
	b.journal.fail = func(i int, r stream.Record) error {
		if len(r.Value) > 0 && r.Value[0] == 'x' {
			return stream.Reject(i, reason)
		}
		return nil
	}
	b.send(1, "a", "0", "x1", "2", "x3", "4")
	b.run(b.config())
	letters := b.read(b.dlq(), 2)
	b.eventually("the good are handled and all is committed", func() bool { return b.journal.count() == 3 && b.lag() == 0 })
	if d := cmp.Diff([]string{"0", "2", "4"}, b.journal.of("a")); d != "" {
		t.Error(d)
	}
	sent := b.read(b.topic, 5)
	for i, original := range []*kgo.Record{sent[1], sent[3]} {
		assertLetter(t, original, letters[i], "rejected", reason.Error())
		if got, want := header(letters[i], "__dlq.errors.offset"), strconv.FormatInt(original.Offset, 10); got != want {
			t.Errorf("offset %s, want %s", got, want)
		}
	}
	if n := b.count(b.retry()); n != 0 {
		t.Errorf("%d rejected records were retried", n)
	}
}

func assertLetter(t *testing.T, original, letter *kgo.Record, reason, text string) {
	t.Helper()
	if !bytes.Equal(original.Key, letter.Key) || !bytes.Equal(original.Value, letter.Value) {
		t.Errorf("key %q and value %q became %q and %q", original.Key, original.Value, letter.Key, letter.Value)
	}
	if d := cmp.Diff(original.Headers, letter.Headers[:min(len(original.Headers), len(letter.Headers))]); d != "" {
		t.Errorf("headers changed: %s", d)
	}
	for key, want := range map[string]string{
		"__dlq.errors.topic":     original.Topic,
		"__dlq.errors.partition": strconv.Itoa(int(original.Partition)),
		"__dlq.errors.exception": reason,
		"__dlq.errors.message":   text,
		"__dlq.errors.timestamp": original.Timestamp.UTC().Format(time.RFC3339Nano),
	} {
		if got := header(letter, key); got != want {
			t.Errorf("header %s is %q, want %q", key, got, want)
		}
	}
	if letter.Partition != original.Partition {
		t.Errorf("partition %d, want %d", letter.Partition, original.Partition)
	}
}

// TestMalformed: what is no message never reaches the handler.
func TestMalformed(t *testing.T) {
	b := setup(t, 1)
	b.send(0, "a", "0")
	b.produce(&kgo.Record{Topic: b.topic, Key: []byte("a"), Value: []byte("?"), Headers: []kgo.RecordHeader{{Key: "x", Value: []byte("y")}}})
	b.produce(&kgo.Record{Topic: b.topic})
	b.send(0, "a", "1")
	b.run(b.config())
	letters := b.read(b.dlq(), 2)
	b.eventually("the good are handled and all is committed", func() bool { return b.journal.count() == 2 && b.lag() == 0 })
	sent := b.read(b.topic, 4)
	assertLetter(t, sent[1], letters[0], "malformed", "malformed message: missing ce_specversion, ce_id, ce_type, ce_source")
	if letters[1].Key != nil || letters[1].Value != nil {
		t.Errorf("nil key and value became %v and %v", letters[1].Key, letters[1].Value)
	}
}

// TestPoisonIsBisected: a panic and a record fault are found among good
// records, tried again later, and dead-lettered in the end. Other keys flow.
func TestPoisonIsBisected(t *testing.T) {
	errFault := errors.New("value out of range")
	for name, fail := range map[string]func() error{
		"panic":                    func() error { panic("boom") },
		"record fault":             func() error { return fmt.Errorf("exec: %w", errFault) },
		"reject of a wrong record": func() error { return stream.Reject(4711, errFault) },
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t, 1)
			b.journal.fail = func(_ int, r stream.Record) error {
				if string(r.Value) == "poison" {
					return fail()
				}
				return nil
			}
			for i := range 20 {
				if i == 7 {
					b.send(0, "bad", "poison")
				}
				b.send(0, "k"+strconv.Itoa(i), "v")
			}
			cfg := b.config()
			cfg.RecordFault = func(err error) bool { return errors.Is(err, errFault) }
			b.run(cfg)
			letter := b.read(b.dlq(), 1)[0]
			b.eventually("the good are handled and all is committed", func() bool { return b.journal.count() >= 20 && b.lag() == 0 })
			if got := b.journal.count(); got != 20 {
				t.Errorf("%d good records took effect, want 20", got)
			}
			if got := header(letter, "__dlq.errors.delivery.count"); got != "3" {
				t.Errorf("dead-lettered after %s attempts, want 3", got)
			}
			original := b.read(b.topic, 21)[7]
			assertLetter(t, original, letter, "fault", header(letter, "__dlq.errors.message"))
			if n := b.count(b.retry()); n != 1 {
				t.Errorf("%d records in the retry topic, want 1", n)
			}
		})
	}
}
