package stream

import (
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestLane follows two keys through the retry topic.
func TestLane(t *testing.T) {
	t.Parallel()
	l := &lane{keys: make(map[string]*key)}
	now := time.Now()
	record := func(k string, offset int64) Record {
		return Record{raw: &kgo.Record{Key: []byte(k), Offset: offset}}
	}
	offsets := func(batch []Record) (at []int64) {
		for _, r := range batch {
			at = append(at, r.raw.Offset)
		}
		return at
	}
	expect := func(what string, got, want []int64, done int64) {
		t.Helper()
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: due %s", what, d)
		}
		if got := l.retryDone(); got != done {
			t.Errorf("%s: done up to %d, want %d", what, got, done)
		}
	}
	if l.parks([]byte("a")) {
		t.Error("parks out of nothing")
	}
	l.park([]byte("a"), 0, now.Add(time.Second)) // Produced by this owner, not polled yet.
	l.park([]byte("a"), 1, time.Time{})
	if !l.parks([]byte("a")) || l.parks([]byte("b")) || l.parks(nil) {
		t.Error("parks the wrong key")
	}
	l.hold(record("a", 0), now.Add(time.Second))
	l.hold(record("a", 1), time.Time{})
	l.hold(record("b", 2), now)
	l.retryNext = 3
	expect("a waits as a whole", offsets(l.due(nil, now, 9)), []int64{2}, 0)
	if at, ok := l.wake(); !ok || !at.Equal(now) {
		t.Errorf("wakes at %v, want when b is due", at)
	}
	l.finish(l.held[2])
	expect("b is done behind a", offsets(l.due(nil, now, 9)), nil, 0)
	if l.parks([]byte("b")) {
		t.Error("b is still parked")
	}
	later := now.Add(time.Second)
	expect("a is due", offsets(l.due(nil, later, 9)), []int64{0, 1}, 0)
	expect("no more than asked for", offsets(l.due(nil, later, 1)), []int64{0}, 0)
	l.finish(l.held[0])
	expect("its follower is next, at once", offsets(l.due(nil, now, 9)), []int64{1}, 1)
	if !l.parks([]byte("a")) {
		t.Error("a has a record left")
	}
	l.finish(l.held[0])
	expect("all is done", offsets(l.due(nil, later, 9)), nil, 3)
	if _, ok := l.wake(); ok || l.parks([]byte("a")) {
		t.Error("something is left")
	}
}

// BenchmarkHeld is what held records cost each turn of the loop, when as many
// wait as are kept in memory by default and none is due.
func BenchmarkHeld(b *testing.B) {
	now := time.Now()
	l := &lane{keys: make(map[string]*key)}
	for i := range 1024 {
		l.hold(Record{raw: &kgo.Record{Key: strconv.AppendInt(nil, int64(i), 10), Offset: int64(i)}}, now.Add(time.Hour))
	}
	for b.Loop() {
		if _, ok := l.wake(); !ok || len(l.due(nil, now, 512)) > 0 {
			b.Fatal("not held")
		}
	}
}
