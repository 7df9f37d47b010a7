package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"example.com/ballast/pkg/kafka"
)

// FuzzOrigin: whatever headers a record had and whatever the error said, the
// headers come back as they were and the origin as it was.
func FuzzOrigin(f *testing.F) {
	f.Add("ce_id", []byte("1"), "topic", "boom", int64(3), 2)
	f.Add(HeaderTopic, []byte("theirs"), "", strings.Repeat("ä", maxMessage), int64(-1), 0)
	f.Add(HeaderOffset, []byte(nil), "\xff", "\xff", int64(0), -7)
	f.Fuzz(func(t *testing.T, key string, value []byte, topic, text string, offset int64, n int) {
		original := []kgo.RecordHeader{{Key: key, Value: value}, {Key: "last", Value: []byte("x")}}
		o := Origin{
			Topic: topic, Partition: 3, Offset: offset, Group: "group", Attempts: max(n, 0), Message: text, Reason: ReasonFault,
			Timestamp: time.UnixMilli(offset % (1 << 40)).UTC(), FirstFailed: time.Unix(1, 2).UTC(), NotBefore: time.Unix(3, 4).UTC(), Replays: max(n, 0),
		}
		headers, got, ok := splitOrigin(o.appendTo(original))
		if !ok {
			t.Fatal("no origin found")
		}
		if d := cmp.Diff(original, headers); d != "" {
			t.Errorf("original headers changed: %s", d)
		}
		if len(got.Message) > maxMessage || !utf8.ValidString(got.Message) {
			t.Errorf("message %q", got.Message)
		}
		if utf8.ValidString(text) && len(text) <= maxMessage && got.Message != text {
			t.Errorf("message %q, want %q", got.Message, text)
		}
		got.Message = o.Message
		if d := cmp.Diff(o, got); d != "" {
			t.Error(d)
		}
	})
}

// FuzzSplitOrigin: no headers, however broken, make it panic.
func FuzzSplitOrigin(f *testing.F) {
	for _, key := range []string{HeaderPartition, HeaderOffset, HeaderDeliveries, HeaderTimestamp, HeaderReplays, HeaderNotBefore} {
		f.Add(key, []byte("12"))
		f.Add(key, []byte("99999999999999999999999"))
		f.Add(key, []byte("-7"))
	}
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		_, o, ok := splitOrigin([]kgo.RecordHeader{{Key: HeaderTopic}, {Key: key, Value: value}})
		if !ok {
			t.Error("no origin found")
		}
		if o.Attempts < 0 { // It becomes the exponent of a delay.
			t.Errorf("%d deliveries", o.Attempts)
		}
	})
}

func TestSplitOriginOfForeignRecord(t *testing.T) {
	t.Parallel()
	in := []kgo.RecordHeader{{Key: "ce_id", Value: []byte("1")}}
	headers, o, ok := splitOrigin(in)
	if ok || o != (Origin{}) {
		t.Errorf("found %+v", o)
	}
	if d := cmp.Diff(in, headers); d != "" {
		t.Error(d)
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	errDep, errRec := errors.New("dependency"), errors.New("record")
	c := &Consumer{cfg: Config{
		Transient:   func(err error) bool { return errors.Is(err, errDep) },
		RecordFault: func(err error) bool { return errors.Is(err, errRec) },
	}}
	for name, tt := range map[string]struct {
		err  error
		want class
	}{
		"nil":                     {nil, done},
		"unknown":                 {errors.New("?"), transient},
		"claimed":                 {fmt.Errorf("x: %w", errDep), transient},
		"reject":                  {fmt.Errorf("x: %w", Reject(0, errors.New("?"))), rejected},
		"joined rejects":          {errors.Join(Reject(0, errRec), Reject(1, errRec)), rejected},
		"reject of a dependency":  {Reject(0, errDep), transient},
		"reject beside transient": {errors.Join(Reject(0, errRec), errDep), transient},
		"panic":                   {&panicked{value: "boom"}, fault},
		"panic with dependency":   {&panicked{value: errDep}, transient},
		"record fault":            {fmt.Errorf("x: %w", errRec), fault},
		"both":                    {errors.Join(errRec, errDep), transient},
	} {
		if got := c.classify(tt.err); got != tt.want {
			t.Errorf("%s: class %d, want %d", name, got, tt.want)
		}
	}
}

func TestPanicIsAnErrorOfTheBatch(t *testing.T) {
	t.Parallel()
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("the handler's panic got out: %v", p)
		}
	}()
	c, err := New(Config{
		Kafka: kafka.Settings{Brokers: []string{"x:1"}, Partitions: 1, Replication: 1, SessionTimeout: time.Second, MaxFaultsPerMinute: 1, MaxRecordBytes: 1},
		Group: "group", Topics: []string{"topic"}, Logger: slog.New(slog.DiscardHandler),
		Handler: func(context.Context, []Record) error { panic("boom") },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.call(t.Context(), make([]Record, 3)); c.classify(err) != fault {
		t.Errorf("%v is no record's fault", err)
	}
}

// TestAgeIsNeverNegative: a record stamped later than now has no age, and is
// counted.
func TestAgeIsNeverNegative(t *testing.T) {
	t.Parallel()
	reader := sdk.NewManualReader()
	m := newMetrics(sdk.NewMeterProvider(sdk.WithReader(reader)).Meter("test"), "group")
	now := time.Now()
	m.age(t.Context(), m.brokerWait, now.Add(time.Hour), now, nil)
	m.age(t.Context(), m.brokerWait, now.Add(-time.Minute), now, nil)
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, metric := range all.ScopeMetrics[0].Metrics {
		switch data := metric.Data.(type) {
		case metricdata.Histogram[float64]:
			got[metric.Name] = data.DataPoints[0].Sum
		case metricdata.Sum[int64]:
			got[metric.Name] = float64(data.DataPoints[0].Value)
		}
	}
	if d := cmp.Diff(map[string]float64{MetricBrokerWait: 60, MetricFuture: 1}, got); d != "" {
		t.Error(d)
	}
}

func TestRejectionsOfATree(t *testing.T) {
	t.Parallel()
	e1, e2, e3 := errors.New("1"), errors.New("2"), errors.New("3")
	err := fmt.Errorf("batch: %w", errors.Join(Reject(1, e1), fmt.Errorf("x: %w", Reject(5, e2)), e3))
	got := make(map[int]error)
	rejections(err, got)
	if len(got) != 2 || !errors.Is(got[1], e1) || !errors.Is(got[5], e2) {
		t.Errorf("found %v", got)
	}
}

// TestBalancerMirrors: a member owns the retry partitions of its source
// partitions, and the group is told of the latter only.
func TestBalancerMirrors(t *testing.T) {
	t.Parallel()
	b := newBalancer(map[string]string{"a": "a.g.retry", "b": "b.g.retry"})
	sent := kmsg.ConsumerMemberAssignment{Topics: []kmsg.ConsumerMemberAssignmentTopic{{Topic: "a", Partitions: []int32{0, 2}}}}
	got, err := b.ParseSyncAssignment(sent.AppendTo(nil))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string][]int32{"a": {0, 2}, "a.g.retry": {0, 2}}, got); d != "" {
		t.Error(d)
	}
	var meta kmsg.ConsumerMemberMetadata
	if err := meta.ReadFrom(b.JoinGroupMetadata([]string{"a", "a.g.retry", "b", "b.g.retry"}, got, 1)); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"a", "b"}, meta.Topics); d != "" {
		t.Error(d)
	}
	if len(meta.OwnedPartitions) != 1 || meta.OwnedPartitions[0].Topic != "a" {
		t.Errorf("reports to own %+v", meta.OwnedPartitions)
	}
	if !b.IsCooperative() {
		t.Error("not cooperative")
	}
	if _, err := b.ParseSyncAssignment([]byte{0}); err == nil {
		t.Error("a broken assignment passes")
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	for tries := range 100 {
		if d := backoff(tries); d <= 0 || d > backoffCap+time.Millisecond {
			t.Errorf("try %d: %s", tries, d)
		}
	}
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := New(Config{})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"group", "topics", "handler", "logger", "KAFKA_BROKERS"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
}

// TestAllowance: within the burst, faults are allowed; beyond it they come back
// by the minute, but not to a handler that never succeeds.
func TestAllowance(t *testing.T) {
	t.Parallel()
	start := time.Now()
	take := func(a *allowance, at time.Duration) (n int) {
		for a.take(start.Add(at)) {
			n++
		}
		return n
	}
	fresh := func() *allowance { a := newAllowance(60); return &a }

	bad := fresh()
	if n := take(bad, 0); n != 60 {
		t.Errorf("a bad deploy was allowed %d faults at first, want 60", n)
	}
	if n := take(bad, time.Hour); n != 0 {
		t.Errorf("a bad deploy was allowed %d more, want none", n)
	}
	bad.succeeded(start.Add(time.Hour))
	if n := take(bad, time.Hour); n != 60 {
		t.Errorf("rolled back, it was allowed %d, want 60", n)
	}
	take(bad, time.Hour)
	final := &Record{unfit: errors.New("no")}
	for _, l := range []*letter{{&Record{}, ReasonMalformed, nil}, {&Record{}, ReasonOversize, nil}, {final, ReasonRejected, nil}} {
		if !bad.allows(l, start.Add(4*time.Hour)) {
			t.Errorf("a %s record that says nothing of the handler is stopped", l.reason)
		}
	}

	poisoned := fresh()
	poisoned.succeeded(start)
	if n := take(poisoned, 0); n != 60 {
		t.Errorf("%d bad records among good were allowed, want 60", n)
	}
	if n := take(poisoned, 10*time.Second); n != 10 {
		t.Errorf("ten seconds later %d were, want 10", n)
	}
	if n := take(poisoned, 2*time.Minute); n != 0 {
		t.Errorf("without a success for two minutes %d were, want none", n)
	}
}
