package outbox

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/telemetry"
)

const scope = "example.com/ballast/pkg/outbox"

// created gives each message of a recorded trace a span of its own, "create
// <topic>" below what caused it, and lets the message carry that one: it is the
// parent of the sending and of everything that consumers do. The messages of
// other traces stay as they are, and when that is all of them, so does the slice.
//
// A transaction that is tried again creates its messages again: a create span
// without a send below it is a message that never was.
func created(ctx context.Context, msgs []message.Message) []message.Message {
	copied := false
	for i := range msgs {
		if !msgs[i].Sampled() {
			continue
		}
		_, span := start(ctx, &msgs[i], "create", trace.SpanKindProducer, semconv.MessagingOperationTypeCreate)
		if span.IsRecording() { // Else this process exports nothing, and the trace passes through.
			if !copied {
				msgs, copied = slices.Clone(msgs), true
			}
			msgs[i].TraceParent = message.Render(span.SpanContext())
		}
		span.End()
	}
	return msgs
}

// sending spans the publication of a message from the turn's produce to the
// broker's answer. It is nil for messages of traces that nobody records.
func (t *term) sending(ctx context.Context, it *item) trace.Span {
	if !it.msg.Sampled() {
		return nil
	}
	_, span := start(ctx, &it.msg, "send", trace.SpanKindClient, semconv.MessagingOperationTypeSend,
		attribute.Float64("outbox.wait", time.Since(it.queued).Seconds()))
	return span
}

func sent(span trace.Span, r *kgo.Record, err error) {
	if span == nil {
		return
	}
	telemetry.Fail(span, err)
	if err == nil {
		span.SetAttributes(semconv.MessagingDestinationPartitionID(strconv.Itoa(int(r.Partition))),
			semconv.MessagingKafkaOffset(int(r.Offset)))
	}
	span.End()
}

// start begins a span of a message below the one that the message carries.
func start(ctx context.Context, m *message.Message, name string, kind trace.SpanKind, operation attribute.KeyValue, more ...attribute.KeyValue) (context.Context, trace.Span) {
	attrs := append([]attribute.KeyValue{
		semconv.MessagingSystemKafka, semconv.MessagingDestinationName(m.Topic),
		semconv.MessagingOperationName(name), operation,
		semconv.MessagingMessageID(m.ID), semconv.MessagingKafkaMessageKey(string(m.Key)), semconv.CloudEventsEventType(m.Type),
	}, more...)
	return otel.Tracer(scope).Start(trace.ContextWithRemoteSpanContext(ctx, m.SpanContext()), name+" "+m.Topic,
		trace.WithSpanKind(kind), trace.WithAttributes(attrs...))
}
