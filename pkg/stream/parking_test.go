package stream_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/stream"
)

var errFault = errors.New("record fault")

// faulty lets value v of key a fail until it has been tried that many times after its
// bisection.
func faulty(v string, attempts int) func(int, stream.Record) error {
	return func(_ int, r stream.Record) error {
		if string(r.Key) == "a" && string(r.Value) == v && r.Attempt <= attempts {
			return errFault
		}
		return nil
	}
}

func (b *bench) faultConfig() stream.Config {
	cfg := b.config()
	cfg.RecordFault = func(err error) bool { return errors.Is(err, errFault) }
	cfg.Kafka.RetryDelays = []time.Duration{50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond}
	return cfg
}

// TestParking: while a record waits for its next attempt, later ones of its key
// wait behind it, whether they came in the same batch or long after; other keys
// flow; and after it the key flows on without the retry topic.
func TestParking(t *testing.T) {
	b := setup(t, 2)
	b.journal.fail = faulty("1", 2)
	cfg := b.faultConfig()
	cfg.Kafka.RetryDelays = []time.Duration{300 * time.Millisecond, 600 * time.Millisecond}
	b.send(1, "a", "0", "1", "2")
	b.send(1, "b", "0")
	b.run(cfg)
	b.eventually("b flows", func() bool { return len(b.journal.of("b")) == 1 })
	b.send(1, "a", "3")
	b.send(1, "b", "1")
	b.eventually("b flows on", func() bool { return len(b.journal.of("b")) == 2 })
	if d := cmp.Diff([]string{"0"}, b.journal.of("a")); d != "" {
		t.Errorf("a overtook its parked record: %s", d)
	}
	b.eventually("a is handled", func() bool { return len(b.journal.of("a")) == 4 })
	b.eventually("all is committed", func() bool { return b.lag() == 0 })
	if n := b.count(b.retry()); n != 3 {
		t.Errorf("%d records in the retry topic, want 3: the faulty one and two behind it", n)
	}
	b.send(1, "a", "4")
	b.eventually("a flows on", func() bool { return len(b.journal.of("a")) == 5 })
	if d := cmp.Diff(numbers(5), b.journal.of("a")); d != "" {
		t.Error(d)
	}
	if n := b.count(b.retry()); n != 3 {
		t.Errorf("%d records in the retry topic, want still 3", n)
	}
}

// TestParkedKeepsItsPlace: a record that comes back says where it was first.
func TestParkedKeepsItsPlace(t *testing.T) {
	b := setup(t, 1)
	places := make(chan stream.Record, 10)
	b.journal.fail = func(i int, r stream.Record) error {
		if string(r.Value) != "other" {
			places <- r
		}
		return faulty("x", 1)(i, r)
	}
	b.send(0, "b", "other")
	b.send(0, "a", "x")
	b.run(b.faultConfig())
	b.eventually("handled", func() bool { return len(b.journal.of("a")) == 1 })
	close(places)
	var first, last stream.Record
	for r := range places {
		if first.Offset == 0 {
			first = r
		}
		last = r
	}
	type place struct {
		Message   message.Message
		Partition int32
		Offset    int64
		Timestamp time.Time
	}
	of := func(r stream.Record) place { return place{r.Message, r.Partition, r.Offset, r.Timestamp} }
	if d := cmp.Diff(of(first), of(last)); d != "" {
		t.Errorf("it came back as another record: %s", d)
	}
	if first.Attempt != 1 || last.Attempt != 2 {
		t.Errorf("attempts %d and %d, want 1 and 2", first.Attempt, last.Attempt)
	}
}

// TestTakeoverKnowsWhatIsParked: the next owner reads the retry partition to
// its end before it takes records of the source.
func TestTakeoverKnowsWhatIsParked(t *testing.T) {
	b := setup(t, 1)
	b.journal.fail = faulty("0", 1)
	cfg := b.faultConfig()
	cfg.Kafka.RetryDelays[0] = 1500 * time.Millisecond
	stop := b.run(cfg)
	b.send(0, "a", "0", "1")
	b.eventually("parked", func() bool { return b.count(b.retry()) == 2 })
	stop()
	b.send(0, "a", "2")
	b.send(0, "b", "0")
	b.run(cfg)
	b.eventually("b flows", func() bool { return len(b.journal.of("b")) == 1 })
	if d := cmp.Diff([]string(nil), b.journal.of("a")); d != "" {
		t.Errorf("a overtook its parked records: %s", d)
	}
	b.eventually("a is handled", func() bool { return len(b.journal.of("a")) == 3 })
	b.eventually("all is committed", func() bool { return b.lag() == 0 })
	if d := cmp.Diff(numbers(3), b.journal.of("a")); d != "" {
		t.Error(d)
	}
}

// TestTakeoverReadsAllThatIsParked: so it does when there is more than it can
// hold, and the key in question comes last.
func TestTakeoverReadsAllThatIsParked(t *testing.T) {
	b := setup(t, 1)
	b.journal.fail = func(_ int, r stream.Record) error {
		if string(r.Value) == "0" && r.Attempt == 1 {
			return errFault
		}
		return nil
	}
	cfg := b.faultConfig()
	cfg.Kafka.RetryDelays[0] = time.Second
	stop := b.run(cfg)
	b.send(0, "z", numbers(20)...)
	b.send(0, "a", "0")
	b.eventually("parked", func() bool { return b.count(b.retry()) == 21 })
	stop()
	b.send(0, "a", "1")
	cfg.MaxHeld, cfg.MaxBatch = 4, 4
	b.run(cfg)
	b.eventually("all is handled", func() bool { return b.journal.count() >= 22 && b.lag() == 0 })
	if d := cmp.Diff(numbers(2), b.journal.of("a")); d != "" {
		t.Errorf("a overtook its parked record: %s", d)
	}
	if d := cmp.Diff(numbers(20), b.journal.of("z")); d != "" {
		t.Error(d)
	}
}

// TestDeadLetterFreesItsKey: after the last attempt the key goes on.
func TestDeadLetterFreesItsKey(t *testing.T) {
	b := setup(t, 1)
	b.journal.fail = faulty("0", 99)
	b.run(b.faultConfig())
	b.send(0, "a", numbers(4)...)
	b.eventually("a goes on", func() bool { return len(b.journal.of("a")) == 3 })
	if d := cmp.Diff([]string{"1", "2", "3"}, b.journal.of("a")); d != "" {
		t.Error(d)
	}
	if n := b.count(b.dlq()); n != 1 {
		t.Errorf("%d records in the DLQ, want 1", n)
	}
}

// TestHeldIsBounded: what does not fit into memory waits in the retry topic.
func TestHeldIsBounded(t *testing.T) {
	b := setup(t, 1)
	b.journal.fail = faulty("0", 2)
	cfg := b.faultConfig()
	cfg.MaxHeld, cfg.MaxBatch = 4, 4
	b.run(cfg)
	b.send(0, "a", numbers(60)...)
	b.eventually("a is handled", func() bool { return len(b.journal.of("a")) == 60 })
	b.eventually("all is committed", func() bool { return b.lag() == 0 })
	if d := cmp.Diff(numbers(60), b.journal.of("a")); d != "" {
		t.Error(d)
	}
}

// TestKeylessHasNoOrder: records without a key are not parked behind each other.
func TestKeylessHasNoOrder(t *testing.T) {
	b := setup(t, 1)
	b.journal.fail = func(_ int, r stream.Record) error {
		if string(r.Value) == "x" && r.Attempt == 1 {
			return errFault
		}
		return nil
	}
	cfg := b.faultConfig()
	cfg.Kafka.RetryDelays[0] = 500 * time.Millisecond
	b.run(cfg)
	for _, v := range []string{"x", "y"} {
		m := message.New(b.topic, "test.v1.Thing", "/test", "", 1, []byte(v), time.Now())
		m.Key = nil
		b.produce(m.Record())
	}
	b.eventually("both are handled", func() bool { return b.journal.count() == 2 })
	if d := cmp.Diff([]string{"y", "x"}, b.journal.of("")); d != "" {
		t.Error(d)
	}
	b.eventually("all is committed", func() bool { return b.lag() == 0 })
}

// TestManyParkedKeys: every third key is parked for a while; each stays in order.
func TestManyParkedKeys(t *testing.T) {
	b := setup(t, 3)
	b.journal.fail = func(_ int, r stream.Record) error {
		if string(r.Value) == "1" && r.Attempt == 1 && r.Key[1]%3 == 0 {
			return errFault
		}
		return nil
	}
	b.run(b.faultConfig())
	for v := range 5 {
		for k := range 9 {
			b.send(int32(k%3), "k"+strconv.Itoa(k), strconv.Itoa(v))
		}
	}
	b.eventually("all are handled", func() bool { return b.journal.count() == 45 })
	b.eventually("all is committed", func() bool { return b.lag() == 0 })
	for k := range 9 {
		if d := cmp.Diff(numbers(5), b.journal.of("k"+strconv.Itoa(k))); d != "" {
			t.Errorf("key %d: %s", k, d)
		}
	}
}
