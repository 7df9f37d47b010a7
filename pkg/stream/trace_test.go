package stream_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/stream"
)

// recorded has the spans of this process: the provider is a global one, and tests
// tell theirs by the trace.
var recorded = sync.OnceValue(func() *tracetest.SpanRecorder {
	r := tracetest.NewSpanRecorder()
	otel.SetTracerProvider(trace.NewTracerProvider(trace.WithSpanProcessor(r)))
	return r
})

// carried is what a message of the trace with this digit carries.
func carried(digit, flags string) string {
	return "00-" + strings.Repeat(digit, 32) + "-" + strings.Repeat(digit, 16) + "-" + flags
}

// ofTrace returns the ended spans of a trace, in the order in which they began.
func ofTrace(digit string) []trace.ReadOnlySpan {
	var spans []trace.ReadOnlySpan
	for _, s := range recorded().Ended() {
		if s.SpanContext().TraceID().String() == strings.Repeat(digit, 32) {
			spans = append(spans, s)
		}
	}
	slices.SortFunc(spans, func(a, b trace.ReadOnlySpan) int { return a.StartTime().Compare(b.StartTime()) })
	return spans
}

// tracedRecord is a record of its own key whose message carries the trace.
func (b *bench) tracedRecord(key, traceParent string) *kgo.Record {
	m := message.New(b.topic, "test.v1.Thing", "/test", key, 1, []byte(key), time.Now())
	m.TraceParent = traceParent
	return m.Record()
}

// Every sampled message of a batch has a span in its own trace, which the handler
// finds in the record; the span in which the handler runs links to all others.
func TestEachSampledMessageHasItsSpan(t *testing.T) {
	b := setup(t, 1)
	recorded()
	want := map[string]string{"1": "01", "2": "00", "3": "01", "4": "01"}
	for _, digit := range []string{"1", "2", "3", "4"} {
		b.produce(b.tracedRecord(digit, carried(digit, want[digit])))
	}
	var found sync.Map
	cfg := b.config()
	cfg.Handler = func(ctx context.Context, batch []stream.Record) error {
		if len(batch) != 4 {
			return fmt.Errorf("%d records", len(batch))
		}
		for _, r := range batch {
			found.Store(string(r.Key), r.TraceParent)
		}
		found.Store("context", message.TraceParent(ctx))
		return nil
	}
	stop := b.run(cfg)
	b.eventually("the batch is done", func() bool { return len(ofTrace("4")) > 0 })
	stop()
	var first trace.ReadOnlySpan
	for _, digit := range []string{"1", "3", "4"} {
		spans := ofTrace(digit)
		if len(spans) != 1 || spans[0].Name() != "process "+b.topic || spans[0].Parent().SpanID().String() != strings.Repeat(digit, 16) {
			t.Fatalf("trace %s: spans %v", digit, names(spans))
		}
		if got, _ := found.Load(digit); got != message.Render(spans[0].SpanContext()) {
			t.Errorf("the handler found %v in the record of trace %s", got, digit)
		}
		if digit == "1" {
			first = spans[0]
			continue
		}
		if links := spans[0].Links(); len(links) != 1 || links[0].SpanContext.SpanID() != first.SpanContext().SpanID() {
			t.Errorf("trace %s links to %v, want the span of the first", digit, links)
		}
	}
	var links []string
	for _, l := range first.Links() {
		links = append(links, l.SpanContext.TraceID().String()[:1])
	}
	if diff := cmp.Diff([]string{"3", "4"}, links); diff != "" {
		t.Errorf("links of the first span: %s", diff)
	}
	if got, _ := found.Load("2"); got != carried("2", "00") || len(ofTrace("2")) != 0 {
		t.Errorf("the message that is not sampled has become %v", got)
	}
	if got, _ := found.Load("context"); got != message.Render(first.SpanContext()) {
		t.Errorf("the handler ran in %v", got)
	}
}

// A message that fails keeps its trace on all its ways, and what it carries.
func TestRetriesAndDeadLettersStayInTheTrace(t *testing.T) {
	b := setup(t, 1)
	recorded()
	b.journal.failWith(func(int, stream.Record) error { panic("no") })
	b.produce(b.tracedRecord("faulty", carried("5", "01")))
	stop := b.run(b.config())
	letter := b.read(b.dlq(), 1)[0]
	stop()
	m, err := message.FromRecord(stream.Original(letter))
	if err != nil || m.TraceParent != carried("5", "01") {
		t.Errorf("the dead letter carries %q: %v", m.TraceParent, err)
	}
	spans := ofTrace("5")
	want := []string{
		"process " + b.topic + " Error", "send " + b.retry() + " Unset",
		"process " + b.topic + " Error", "process " + b.topic + " Error", "send " + b.dlq() + " Error",
	}
	if diff := cmp.Diff(want, names(spans)); diff != "" {
		t.Errorf("spans: %s", diff)
	}
	for _, s := range spans {
		if s.Parent().SpanID().String() != strings.Repeat("5", 16) {
			t.Errorf("%s is below %s", s.Name(), s.Parent().SpanID())
		}
	}
}

// Who is handled again because of another is not at fault.
func TestARejectionIsOneRecordsError(t *testing.T) {
	b := setup(t, 1)
	recorded()
	b.journal.failWith(func(i int, r stream.Record) error {
		if string(r.Key) == "bad" {
			return stream.Reject(i, errors.New("never"))
		}
		return nil
	})
	b.produce(b.tracedRecord("good", carried("6", "01")))
	b.produce(b.tracedRecord("bad", carried("7", "01")))
	stop := b.run(b.config())
	b.eventually("the good one is done", func() bool { return b.journal.count() == 1 })
	stop()
	for _, s := range ofTrace("6") {
		if s.Status().Code == codes.Error {
			t.Errorf("the good record's span has the error %q", s.Status().Description)
		}
	}
	if diff := cmp.Diff([]string{"process " + b.topic + " Error", "send " + b.dlq() + " Error"}, names(ofTrace("7"))); diff != "" {
		t.Errorf("the bad record's spans: %s", diff)
	}
}

func names(spans []trace.ReadOnlySpan) []string {
	var list []string
	for _, s := range spans {
		list = append(list, s.Name()+" "+s.Status().Code.String())
	}
	return list
}
