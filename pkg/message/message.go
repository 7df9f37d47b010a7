// Package message is the envelope of everything that services send each other:
// a Protobuf value, a key that decides its order, and the headers of the
// CloudEvents Kafka binding in binary mode (ce_id, ce_type, ...), so that other
// CloudEvents software can read our topics.
//
// A message has two encodings: a Kafka record (Message.Record, FromRecord) and
// a compact packed form (AppendPacked, Unpack) for the outbox row that waits
// for the relay.
package message

import (
	"context"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/trace"
)

// Message is one event or command with its place in the conversation.
type Message struct {
	// ID is unique for each message sent, a UUIDv7 (ce_id). A message that is
	// sent again on purpose gets a new one.
	ID string
	// Type is the full Protobuf name of Value (ce_type).
	Type string
	// Source names the sender, such as "/orders" (ce_source).
	Source string
	// Subject is the id of the aggregate that the message is about (ce_subject).
	Subject string
	// Time is when it happened, in UTC (ce_time); zero when the sender did not say.
	Time time.Time
	// Topic it is sent to or came from.
	Topic string
	// Key orders messages: those of one key stay in order. Nil has no order.
	Key []byte
	// Value is the Protobuf encoding; nil deletes the key from a compacted topic.
	Value []byte
	// Version of the aggregate that the message reports (ce_aggregateversion);
	// zero when it has none.
	Version int64
	// TraceParent is the W3C trace context of the span that made the message, or
	// empty. Until the message is in the outbox it is that of what caused it.
	TraceParent string
	// Extra are all other headers, kept verbatim and in order.
	Extra []kgo.RecordHeader
}

// New makes a message about the aggregate key, which is also its subject.
func New(topic, typ, source, key string, version int64, value []byte, now time.Time) Message {
	return Message{
		ID:      uuid.Must(uuid.NewV7()).String(),
		Type:    typ,
		Source:  source,
		Subject: key,
		Time:    now.UTC(),
		Topic:   topic,
		Key:     []byte(key),
		Value:   value,
		Version: version,
	}
}

// TraceParent renders the span of ctx for Message.TraceParent, or returns ""
// when ctx has none.
func TraceParent(ctx context.Context) string { return Render(trace.SpanContextFromContext(ctx)) }

// Render is a span as W3C Trace Context writes it, or "" for one that is not valid.
func Render(sc trace.SpanContext) string {
	if !sc.IsValid() {
		return ""
	}
	return "00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-" + sc.TraceFlags().String()
}

// Sampled tells whether the message belongs to a trace that is recorded. It is
// asked of every message and costs a comparison; SpanContext has the last word.
func (m *Message) Sampled() bool { return len(m.TraceParent) == 55 && m.TraceParent[53:] != "00" }

// SpanContext reads TraceParent. It is not valid when that is empty or broken:
// a trace is never worth a message.
func (m *Message) SpanContext() trace.SpanContext { return ParseTrace(m.TraceParent) }

// ParseTrace is the reverse of Render.
func ParseTrace(p string) trace.SpanContext {
	if len(p) != 55 || p[:3] != "00-" || p[35] != '-' || p[52] != '-' {
		return trace.SpanContext{}
	}
	traceID, err1 := trace.TraceIDFromHex(p[3:35])
	spanID, err2 := trace.SpanIDFromHex(p[36:52])
	flags, err3 := strconv.ParseUint(p[53:], 16, 8)
	if err1 != nil || err2 != nil || err3 != nil {
		return trace.SpanContext{}
	}
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: traceID, SpanID: spanID, TraceFlags: trace.TraceFlags(flags), Remote: true,
	})
}
