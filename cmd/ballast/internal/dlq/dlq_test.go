package dlq

import (
	"bytes"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/stream"
)

// TestList: a letter says what is known of it, whoever wrote it, and the filters
// find it by that.
func TestList(t *testing.T) {
	b := setup(t)
	b.consume()
	began := time.Now().Truncate(time.Millisecond)
	first := b.send(0, "order-1", "test.v1.Charge", "bad")
	b.produce(&kgo.Record{Topic: b.topic, Partition: 1, Key: []byte("order-2"), Value: []byte("no message")})
	b.eventually("both are dead", func() bool { return len(b.list(Open, Filter{})) == 2 })
	box := kafka.DLQTopic(b.topic, b.group)
	// As a broker writes them for a share group (KIP-1191), with and without the
	// record's content.
	byBroker := []kgo.RecordHeader{
		{Key: stream.HeaderTopic, Value: []byte(b.topic)}, {Key: stream.HeaderPartition, Value: []byte("1")},
		{Key: stream.HeaderOffset, Value: []byte("77")}, {Key: stream.HeaderGroup, Value: []byte(b.group)},
		{Key: stream.HeaderDeliveries, Value: []byte("5")}, {Key: stream.HeaderMessage, Value: []byte("delivery count exceeded")},
	}
	b.produce(&kgo.Record{Topic: box, Partition: 1, Key: []byte("order-3"), Value: []byte("x"), Headers: byBroker})
	b.produce(&kgo.Record{Topic: box, Partition: 1, Headers: byBroker})

	want := []*Letter{
		{ID: first, Place: "0/0", Source: b.topic + "/0/0", Key: "order-1", Type: "test.v1.Charge", Reason: stream.ReasonRejected, Error: "bad value", Attempts: 1, Bytes: 10},
		{ID: b.topic + "/1/0", Place: "1/0", Source: b.topic + "/1/0", Key: "order-2", Type: "-", Reason: stream.ReasonMalformed, Attempts: 1, Bytes: 17},
		{ID: b.topic + "/1/77", Place: "1/1", Source: b.topic + "/1/77", Key: "order-3", Type: "-", Reason: "-", Error: "delivery count exceeded", Attempts: 5, Bytes: 8},
		{ID: b.topic + "/1/77", Place: "1/2", Source: b.topic + "/1/77", Type: "-", Reason: "-", Error: "delivery count exceeded", Attempts: 5, Hollow: true},
	}
	for _, l := range want {
		l.Box, l.Group, l.Topic = box, b.group, b.topic
	}
	got := b.list(Open, Filter{})
	if len(got) > 1 && !strings.HasPrefix(got[1].Error, "malformed message: ") {
		t.Errorf("error of the malformed one: %q", got[1].Error)
	}
	got[1].Error = ""
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Letter{}), cmpopts.IgnoreFields(Letter{}, "DiedAt", "FirstFailed", "SentAt")); diff != "" {
		t.Error(diff)
	}
	if l := got[0]; l.DiedAt.Before(began) || l.FirstFailed.Before(began) || l.SentAt.Before(began) || time.Since(l.DiedAt) < 0 {
		t.Errorf("died at %v, first failed %v, sent %v", l.DiedAt, l.FirstFailed, l.SentAt)
	}
	for name, test := range map[string]struct {
		filter Filter
		want   int
	}{
		"topic": {Filter{Topic: b.topic}, 4}, "another topic": {Filter{Topic: "x"}, 0},
		"type": {Filter{Type: "test.v1.Charge"}, 1}, "short type": {Filter{Type: "Charge"}, 1}, "part of a type": {Filter{Type: "arge"}, 0}, "reason": {Filter{Reason: stream.ReasonMalformed}, 1}, "no reason": {Filter{Reason: "-"}, 2},
		"key": {Filter{Key: "order-2"}, 1}, "id": {Filter{ID: first}, 1}, "source": {Filter{ID: b.topic + "/1/0"}, 1},
		"since": {Filter{Since: began}, 4}, "since later": {Filter{Since: time.Now().Add(time.Hour)}, 0},
		"until": {Filter{Until: began}, 0}, "until later": {Filter{Until: time.Now().Add(time.Hour)}, 4},
	} {
		if got := len(b.list(Open, test.filter)); got != test.want {
			t.Errorf("%s: %d letters, want %d", name, got, test.want)
		}
	}
}

// TestReplayClears: after the fix a replay hands every letter to its handler,
// as it was; nothing is left, and replaying again does nothing.
func TestReplayClears(t *testing.T) {
	b := setup(t)
	b.consume()
	dead := b.bury(7)
	before := b.list(Open, Filter{})
	dry := b.options()
	dry.DryRun = true
	if r := b.replay(dry); r.Moved() != 7 || !r.DryRun {
		t.Errorf("dry run: %+v", r)
	}
	if diff := cmp.Diff(ids(before), ids(b.list(Open, Filter{}))); diff != "" || len(b.read(kafka.RetryTopic(b.topic, b.group))) != 0 {
		t.Errorf("a dry run changed something: %s", diff)
	}
	b.mend()
	r := b.replay(b.options())
	want := []Row{{Group: b.group, Topic: b.topic, Reason: stream.ReasonRejected, Type: "test.v1.Bad", Fate: Replays, Letters: 7}}
	if diff := cmp.Diff(want, r.Rows); diff != "" {
		t.Error(diff)
	}
	b.eventually("all are handled", func() bool { messages, _, _ := b.count(); return messages == len(dead) })
	if left := b.list(Open, Filter{}); len(left) != 0 || b.lag(b.group+".dlq-replay", kafka.DLQTopic(b.topic, b.group)) != 0 {
		t.Errorf("%d letters are left, lag %d", len(left), b.lag(b.group+".dlq-replay", kafka.DLQTopic(b.topic, b.group)))
	}
	if r := b.replay(b.options()); r.Moved() != 0 {
		t.Errorf("a second replay moved %+v", r)
	}
	// Brokers forget a group without members after a week.
	if _, err := b.admin.DeleteGroup(t.Context(), b.group+".dlq-replay"); err != nil {
		t.Fatal(err)
	}
	if left := b.list(Open, Filter{}); len(left) != 0 {
		t.Errorf("%d letters are open again", len(left))
	}
	replayed := b.read(kafka.RetryTopic(b.topic, b.group))
	if source := len(b.read(b.topic)); len(replayed) != 7 || source != 7 {
		t.Errorf("%d records in the retry topic and %d in the source; want 7 each", len(replayed), source)
	}
	for i, r := range replayed {
		original, was := stream.Original(r), before[i].record
		if diff := cmp.Diff(stream.Original(was).Headers, original.Headers); diff != "" || string(was.Value) != string(r.Value) || string(was.Key) != string(r.Key) || was.Partition != r.Partition {
			t.Errorf("a replayed record is not as it was: %s", diff)
		}
		if o, _ := stream.ReadOrigin(r); o.Replays != 1 || o.Attempts != 0 || o.Message != "bad value" {
			t.Errorf("origin %+v", o)
		}
	}
	messages, calls, effects := b.count()
	if messages != 7 || calls != 7 || effects != 7 {
		t.Errorf("%d messages were handled %d times with %d effects; want 7", messages, calls, effects)
	}
}

// TestReplayedTwice: a letter that comes twice has one effect.
func TestReplayedTwice(t *testing.T) {
	b := setup(t)
	b.consume()
	b.bury(3)
	letters := b.list(Open, Filter{})
	b.mend()
	b.replay(b.options())
	for _, l := range letters {
		b.produce(back(Box{Name: l.Box}, l.record)) // as if the first replay had been forgotten
	}
	b.replay(b.options())
	b.eventually("all are handled twice", func() bool { _, calls, _ := b.count(); return calls == 6 })
	if messages, _, effects := b.count(); messages != 3 || effects != 3 {
		t.Errorf("%d effects of %d messages; want 3 of 3", effects, messages)
	}
}

// TestFilterLeavesTheOthers: what a filter passes over stays listed, as it was
// and in its order, and is there for the next replay.
func TestFilterLeavesTheOthers(t *testing.T) {
	b := setup(t)
	b.consume()
	var good []string
	for i := range 9 {
		typ := "test.v1.Other"
		if i%3 == 1 {
			typ = "test.v1.Fixed"
		}
		id := b.send(0, "key", typ, "bad")
		if typ == "test.v1.Fixed" {
			good = append(good, id)
		}
	}
	b.eventually("they are dead", func() bool { return len(b.list(Open, Filter{})) == 9 })
	before := b.list(Open, Filter{Type: "test.v1.Other"})
	b.mend()
	o := b.options()
	o.Filter.Type = "test.v1.Fixed"
	if r := b.replay(o); r.Moved() != 3 {
		t.Errorf("moved %+v", r)
	}
	b.eventually("they are handled", func() bool { messages, _, _ := b.count(); return messages == 3 })
	b.mu.Lock()
	if diff := cmp.Diff(slices.Sorted(slices.Values(good)), slices.Sorted(maps.Keys(b.handled))); diff != "" {
		t.Error(diff)
	}
	b.mu.Unlock()
	after := b.list(Open, Filter{})
	// The last one never moved: it lay behind the last that the filter took.
	ordered := append(before[5:], before[:5]...)
	if diff := cmp.Diff(ordered, after, cmpopts.IgnoreFields(Letter{}, "Place"), cmpopts.IgnoreUnexported(Letter{})); diff != "" {
		t.Error(diff)
	}
	for i, l := range after {
		if diff := cmp.Diff(ordered[i].record.Headers, l.record.Headers); diff != "" {
			t.Error(diff)
		}
	}
	if r := b.replay(b.options()); r.Moved() != 6 {
		t.Errorf("the rest: %+v", r)
	}
	b.eventually("all are handled", func() bool { messages, calls, _ := b.count(); return messages == 9 && calls == 9 })
	if left := b.list(Open, Filter{}); len(left) != 0 {
		t.Errorf("%d letters are left", len(left))
	}
}

// TestLimitAndRate bound what one run does, and the next goes on from there.
func TestLimitAndRate(t *testing.T) {
	b := setup(t)
	b.consume()
	b.bury(10)
	o := b.options()
	o.Limit = 4
	if r := b.replay(o); r.Moved() != 4 {
		t.Errorf("moved %+v", r)
	}
	if left := b.list(Open, Filter{}); len(left) < 6 {
		t.Errorf("%d letters are left, want at least 6", len(left))
	}
	var steps []int
	o.Limit, o.Rate, o.Progress = 5, 4, func(done, _ int) { steps = append(steps, done) }
	began := time.Now()
	if r := b.replay(o); r.Moved() != 5 {
		t.Errorf("moved %+v", r)
	}
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("5 letters at 4/s with 4 at once took %v", took)
	}
	if last := steps[len(steps)-1]; last != 5 || len(steps) < 2 {
		t.Errorf("progress %v", steps)
	}
}

// TestLoopGuard: what fails again after each replay ends in quarantine, from
// where only an operator who asks for it takes it back.
func TestLoopGuard(t *testing.T) {
	b := setup(t)
	b.consume()
	b.bury(2)
	for n := 1; n <= DefaultMaxReplays; n++ {
		if r := b.replay(b.options()); r.Counts[Replays] != 2 {
			t.Fatalf("replay %d: %+v", n, r)
		}
		b.eventually("they die again", func() bool {
			l := b.list(Open, Filter{})
			return len(l) == 2 && l[0].Replays == n && l[1].Replays == n
		})
	}
	if r := b.replay(b.options()); r.Counts[Quarantine] != 2 || r.Counts[Replays] != 0 {
		t.Errorf("the guard: %+v", r)
	}
	if open, kept := len(b.list(Open, Filter{})), b.list(Quarantined, Filter{}); open != 0 || len(kept) != 2 || kept[0].Error != "bad value" {
		t.Errorf("%d open, quarantined %+v", open, kept)
	}
	b.mend()
	o := b.options()
	o.From = Quarantined
	if r := b.replay(o); r.Counts[Replays] != 2 {
		t.Errorf("from quarantine: %+v", r)
	}
	b.eventually("they are handled", func() bool { messages, _, _ := b.count(); return messages == 2 })
	if kept := b.list(Quarantined, Filter{}); len(kept) != 0 {
		t.Errorf("still quarantined: %d", len(kept))
	}
}

// TestDiscard keeps what is given up, with the reason, who and when.
func TestDiscard(t *testing.T) {
	b := setup(t)
	b.consume()
	b.bury(3)
	before := b.list(Open, Filter{})
	for _, missing := range [][2]string{{"", "ada"}, {"a test", ""}, {strings.Repeat("x", 2000), "ada"}} {
		if _, err := b.Discard(t.Context(), b.options(), missing[0], missing[1]); err == nil {
			t.Errorf("discarded without reason or name: %q", missing)
		}
	}
	o := b.options()
	o.Filter.ID = before[1].ID
	began := time.Now()
	r, err := b.Discard(t.Context(), o, "a test", "ada")
	if err != nil || r.Counts[Discards] != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	kept := b.list(Discarded, Filter{})
	if len(kept) != 1 || kept[0].ID != before[1].ID || string(kept[0].record.Value) != "bad" {
		t.Fatalf("kept: %+v", kept)
	}
	if d := kept[0].Discard; d.Reason != "a test" || d.By != "ada" || d.At.Before(began) {
		t.Errorf("discarded %+v", d)
	}
	if diff := cmp.Diff(before[1].record.Headers, kept[0].record.Headers[:len(before[1].record.Headers)]); diff != "" {
		t.Error(diff)
	}
	if left := b.list(Open, Filter{}); len(left) != 2 || ids(left)[before[1].ID] {
		t.Errorf("left: %v", ids(left))
	}
}

// TestKilledOperator: a tool that is killed when it has written and not
// committed has done nothing by halves, and the next one goes on from there.
func TestKilledOperator(t *testing.T) {
	b := setup(t)
	b.consume()
	dead := b.bury(8)
	b.mend()
	cmd := b.startChild()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // It was killed: an error is expected.
	if left := len(b.list(Open, Filter{})); left != 7 {
		t.Errorf("%d letters are left, want 7", left)
	}
	if r := b.replay(b.options()); r.Moved() != 7 {
		t.Errorf("the next operator moved %+v", r)
	}
	b.eventually("all are handled", func() bool { messages, _, _ := b.count(); return messages == len(dead) })
	if _, calls, _ := b.count(); calls != len(dead) || len(b.read(kafka.RetryTopic(b.topic, b.group))) != len(dead) {
		t.Errorf("handled %d times, want %d", calls, len(dead))
	}
}

// TestTwoOperators: the one who comes later takes over, the other is told, and
// every letter is replayed once.
func TestTwoOperators(t *testing.T) {
	b := setup(t)
	b.consume()
	dead := b.bury(6)
	b.mend()
	first := b.desk()
	arrived, goOn := make(chan struct{}), make(chan struct{})
	first.beforeCommit = func() { close(arrived); <-goOn }
	failed := make(chan error, 1)
	go func() {
		_, err := first.Replay(t.Context(), b.options(), DefaultMaxReplays)
		failed <- err
	}()
	<-arrived
	if r := b.replay(b.options()); r.Moved() != len(dead) {
		t.Errorf("the second operator moved %+v", r)
	}
	close(goOn)
	if err := <-failed; !errors.Is(err, ErrTakenOver) {
		t.Errorf("the first operator: %v; want to be told", err)
	}
	b.eventually("all are handled", func() bool { messages, _, _ := b.count(); return messages == len(dead) })
	if n := len(b.read(kafka.RetryTopic(b.topic, b.group))); n != len(dead) || len(b.list(Open, Filter{})) != 0 {
		t.Errorf("%d replayed, %d left; want %d and 0", n, len(b.list(Open, Filter{})), len(dead))
	}
}

// TestLargeLetters: a letter as large as a broker takes goes wherever others go.
func TestLargeLetters(t *testing.T) {
	b := setup(t)
	b.consume()
	large := make([]byte, 990_000)
	for i := range large {
		large[i] = byte(rand.Uint32()) // Nothing to compress.
	}
	b.produce(&kgo.Record{Topic: b.topic, Key: []byte("large"), Value: large})
	b.send(0, "small", "test.v1.Bad", "bad")
	b.eventually("both are dead", func() bool { return len(b.list(Open, Filter{})) == 2 })
	o := b.options()
	o.Filter.Key = "small"
	if r := b.replay(o); r.Moved() != 1 {
		t.Errorf("moved %+v", r)
	}
	o.Filter.Key = "large"
	if _, err := b.Discard(t.Context(), o, strings.Repeat("because ", 100), "ada"); err != nil {
		t.Fatal(err)
	}
	if kept := b.list(Discarded, Filter{}); len(kept) != 1 || !bytes.Equal(kept[0].record.Value, large) {
		t.Errorf("%d letters kept, or not as they were", len(kept))
	}
}
