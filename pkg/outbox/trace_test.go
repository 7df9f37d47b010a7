package outbox

import (
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/testkit"
)

// recorded has the spans of this process: the provider is a global one, and tests
// tell theirs by the trace.
var recorded = sync.OnceValue(func() *tracetest.SpanRecorder {
	r := tracetest.NewSpanRecorder()
	otel.SetTracerProvider(trace.NewTracerProvider(trace.WithSpanProcessor(r)))
	return r
})

// spanOf returns the ended span of a name prefix in the trace of the digit.
func spanOf(digit, prefix string) trace.ReadOnlySpan {
	for _, s := range recorded().Ended() {
		if s.SpanContext().TraceID().String() == strings.Repeat(digit, 32) && strings.HasPrefix(s.Name(), prefix) {
			return s
		}
	}
	return nil
}

// A message leaves with the context of its create span, which is below what
// caused it; the wait in the outbox and the sending are below that.
func TestAMessageCarriesItsCreateSpan(t *testing.T) {
	t.Parallel()
	b := setup(t)
	recorded()
	cause := func(digit, flags string) string {
		return "00-" + strings.Repeat(digit, 32) + "-" + strings.Repeat(digit, 16) + "-" + flags
	}
	msgs := []message.Message{b.msg("sampled", 1), b.msg("other", 1)}
	msgs[0].TraceParent, msgs[1].TraceParent = cause("1", "01"), cause("2", "00")
	b.queue(msgs...)
	if msgs[0].TraceParent != cause("1", "01") {
		t.Error("queueing has changed the caller's message")
	}
	b.run(b.relay("one"))
	testkit.Eventually(t, "outbox is empty", b.empty)
	created, sent := spanOf("1", "create "+b.topic), spanOf("1", "send "+b.topic)
	if created == nil || sent == nil {
		t.Fatalf("spans: %v, %v", created, sent)
	}
	if created.Parent().SpanID().String() != strings.Repeat("1", 16) {
		t.Errorf("created below %s", created.Parent().SpanID())
	}
	if sent.Parent().SpanID() != created.SpanContext().SpanID() {
		t.Errorf("sent below %s", sent.Parent().SpanID())
	}
	attrs := map[string]bool{}
	for _, a := range sent.Attributes() {
		attrs[string(a.Key)] = true
	}
	if !attrs["outbox.wait"] || !attrs["messaging.kafka.offset"] {
		t.Errorf("attributes of the sending: %v", sent.Attributes())
	}
	reader := b.newClient(kgo.ConsumeTopics(b.topic), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))
	for _, r := range reader.PollFetches(t.Context()).Records() {
		m, err := message.FromRecord(r)
		if err != nil {
			t.Fatal(err)
		}
		want := cause("2", "00")
		if string(m.Key) == "sampled" {
			want = message.Render(created.SpanContext())
		}
		if m.TraceParent != want {
			t.Errorf("%s carries %s, want %s", m.Key, m.TraceParent, want)
		}
	}
}

// Nearly all messages belong to traces that nobody records.
func TestUnsampledMessagesCostNothing(t *testing.T) {
	msgs := make([]message.Message, 100)
	for i := range msgs {
		msgs[i].TraceParent = "00-11111111111111111111111111111111-1111111111111111-00"
	}
	if n := testing.AllocsPerRun(10, func() { created(t.Context(), msgs) }); n > 0 {
		t.Errorf("%v allocations for 100 messages, want none", n)
	}
}
