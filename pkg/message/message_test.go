package message_test

import (
	"errors"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/trace"

	"example.com/ballast/pkg/message"
)

var someTime = time.Date(2026, 11, 22, 4, 5, 6, 789, time.UTC)

func full() message.Message {
	m := message.New("orders.events", "orders.v1.OrderPlaced", "/orders", "o1", 7, []byte{1, 2, 3}, someTime)
	m.TraceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	m.Extra = []kgo.RecordHeader{{Key: "tracestate", Value: []byte("a=b")}, {Key: "x", Value: nil}, {Key: "x", Value: []byte{}}}
	return m
}

func messages() map[string]message.Message {
	tombstone := full()
	tombstone.Value = nil
	subject := full()
	subject.Subject = "another"
	keyless := full()
	keyless.Key = nil
	empty := full()
	empty.Key, empty.Value, empty.Subject = []byte{}, []byte{}, ""
	return map[string]message.Message{
		"full": full(), "tombstone": tombstone, "subject is not the key": subject, "no key": keyless, "empty key and value": empty,
		"least": {ID: "1", Type: "t", Source: "/s", Topic: "topic"},
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	m := message.New("topic", "type", "/source", "key", 3, []byte("value"), someTime)
	if id, err := uuid.Parse(m.ID); err != nil || id.Version() != 7 {
		t.Errorf("id %q is no UUIDv7", m.ID)
	}
	want := message.Message{
		ID: m.ID, Type: "type", Source: "/source", Subject: "key", Time: someTime,
		Topic: "topic", Key: []byte("key"), Value: []byte("value"), Version: 3,
	}
	if d := cmp.Diff(want, m); d != "" {
		t.Error(d)
	}
}

func TestRecordRoundTrip(t *testing.T) {
	t.Parallel()
	for name, m := range messages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := message.FromRecord(m.Record())
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(m, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestFromRecordRefuses(t *testing.T) {
	t.Parallel()
	set := func(key, value string) func(*kgo.Record) {
		return func(r *kgo.Record) {
			for i := range r.Headers {
				if r.Headers[i].Key == key {
					r.Headers[i].Value = []byte(value)
				}
			}
		}
	}
	for name, spoil := range map[string]func(*kgo.Record){
		"no headers":          func(r *kgo.Record) { r.Headers = nil },
		"empty id":            set("ce_id", ""),
		"empty type":          set("ce_type", ""),
		"empty source":        set("ce_source", ""),
		"other spec version":  set("ce_specversion", "0.3"),
		"time":                set("ce_time", "yesterday"),
		"version":             set("ce_aggregateversion", "x"),
		"version too large":   set("ce_aggregateversion", "9223372036854775808"),
		"other content type":  set("content-type", "application/json"),
		"content type absent": set("content-type", ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := full().Record()
			spoil(r)
			if _, err := message.FromRecord(r); !errors.Is(err, message.ErrMalformed) {
				t.Errorf("error %v, want ErrMalformed", err)
			}
		})
	}
}

// TestCloudEvents has the CloudEvents SDK judge the attributes that we send.
func TestCloudEvents(t *testing.T) {
	t.Parallel()
	m := full()
	e := event.New()
	for _, h := range m.Record().Headers {
		v := string(h.Value)
		switch h.Key {
		case "ce_specversion":
			e.SetSpecVersion(v)
		case "ce_id":
			e.SetID(v)
		case "ce_type":
			e.SetType(v)
		case "ce_source":
			e.SetSource(v)
		case "ce_subject":
			e.SetSubject(v)
		case "ce_time":
			at, err := time.Parse(time.RFC3339Nano, v)
			if err != nil {
				t.Fatal(err)
			}
			e.SetTime(at)
		case "ce_aggregateversion":
			e.SetExtension("aggregateversion", v)
		case "content-type":
			e.SetDataContentType(v)
		}
	}
	if err := e.Validate(); err != nil {
		t.Errorf("the SDK refuses the event: %v", err)
	}
	got := []any{e.SpecVersion(), e.ID(), e.Type(), e.Source(), e.Subject(), e.Time(), e.Extensions()["aggregateversion"]}
	want := []any{"1.0", m.ID, m.Type, m.Source, m.Subject, m.Time, "7"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestTraceParent(t *testing.T) {
	t.Parallel()
	if got := message.TraceParent(t.Context()); got != "" {
		t.Errorf("without a span: %q", got)
	}
	m := full()
	ctx := trace.ContextWithSpanContext(t.Context(), m.SpanContext())
	if got := message.TraceParent(ctx); got != m.TraceParent {
		t.Errorf("got %q, want %q", got, m.TraceParent)
	}
	for _, broken := range []string{"", "00-x", m.TraceParent[:54] + "g", "00-" + "00000000000000000000000000000000" + m.TraceParent[35:]} {
		m.TraceParent = broken
		if m.SpanContext().IsValid() {
			t.Errorf("%q is taken for a span", broken)
		}
	}
}

func TestPackedRoundTrip(t *testing.T) {
	t.Parallel()
	var msgs []message.Message
	for _, m := range messages() {
		msgs = append(msgs, m)
	}
	for n := range len(msgs) + 1 {
		packed := message.AppendPacked([]byte("before"), msgs[:n])
		got, err := message.Unpack(packed[len("before"):])
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(msgs[:n], got, cmpopts.EquateEmpty()); d != "" {
			t.Error(d)
		}
		for i, m := range got {
			if (m.Value == nil) != (msgs[i].Value == nil) {
				t.Error("a tombstone and an empty value are taken for each other")
			}
		}
	}
}

// TestUnpackOldRows reads the bytes that version 1 wrote: rows of an older
// release wait in the outbox while a newer one starts.
func TestUnpackOldRows(t *testing.T) {
	t.Parallel()
	const row = "\x01\x01\x011\x01t\x02/s\x01\x01\x02\x03\x01T\x02k\x02v\x0e\x00\x01\x01x\x02y"
	got, err := message.Unpack([]byte(row))
	if err != nil {
		t.Fatal(err)
	}
	want := []message.Message{{
		ID: "1", Type: "t", Source: "/s", Subject: "k", Time: time.Unix(1, 3).UTC(), Topic: "T",
		Key: []byte("k"), Value: []byte("v"), Version: 7, Extra: []kgo.RecordHeader{{Key: "x", Value: []byte("y")}},
	}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestUnpackRefuses(t *testing.T) {
	t.Parallel()
	packed := message.AppendPacked(nil, []message.Message{full()})
	for n := range len(packed) {
		if _, err := message.Unpack(packed[:n]); !errors.Is(err, message.ErrPacked) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	if _, err := message.Unpack(append(packed, 0)); !errors.Is(err, message.ErrPacked) {
		t.Errorf("with a byte too many: %v", err)
	}
	if _, err := message.Unpack([]byte{2, 0}); !errors.Is(err, message.ErrPacked) {
		t.Errorf("of a later version: %v", err)
	}
}

// FuzzUnpack: no input makes Unpack panic, and what it accepts survives another
// round trip.
func FuzzUnpack(f *testing.F) {
	for _, m := range messages() {
		f.Add(message.AppendPacked(nil, []message.Message{m, m}))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		msgs, err := message.Unpack(b)
		if err != nil {
			return
		}
		again, err := message.Unpack(message.AppendPacked(nil, msgs))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(msgs, again, cmpopts.EquateEmpty()); d != "" {
			t.Error(d)
		}
	})
}

// FuzzFromRecord: whatever the headers are, a record is refused as malformed or
// it is a message that comes back the same from a record of its own.
func FuzzFromRecord(f *testing.F) {
	f.Add("ce_time", []byte("2026-11-22T04:05:06+01:00"), "ce_id", []byte("1"))
	f.Add("ce_aggregateversion", []byte("-1"), "x", []byte{0xff})
	f.Add("ce_time", []byte("0001-01-01T00:00:00Z"), "traceparent", []byte("00-"))
	f.Fuzz(func(t *testing.T, k1 string, v1 []byte, k2 string, v2 []byte) {
		r := full().Record()
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: k1, Value: v1}, kgo.RecordHeader{Key: k2, Value: v2})
		m, err := message.FromRecord(r)
		if err != nil {
			if !errors.Is(err, message.ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		m.SpanContext()
		again, err := message.FromRecord(m.Record())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(m, again); d != "" {
			t.Error(d)
		}
	})
}

func BenchmarkFromRecord(b *testing.B) {
	r := full().Record()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := message.FromRecord(r); err != nil {
			b.Fatal(err)
		}
	}
}
