package stream

import (
	"context"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/telemetry"
)

// processing is the span of one record in one handler call.
type processing struct {
	trace.Span

	index   int
	carried string // the record's TraceParent
}

// startSpans gives each record of a recorded trace a span of its own, "process
// <topic>" below the one that the record carries, and until endSpans the record
// carries that: what the handler makes of it belongs below. The handler runs in
// the span of the first, where its statements are seen; that one links to the
// others' messages, and they link to it. A batch that nobody traces costs a
// comparison by record.
func (c *Consumer) startSpans(ctx context.Context, batch []Record) (context.Context, []processing) {
	var spans []processing
	call := ctx
	for i := range batch {
		r := &batch[i]
		if !r.Sampled() {
			continue
		}
		attrs := append(c.describe(r, "process", r.lane.topic), semconv.MessagingOperationTypeProcess,
			semconv.MessagingBatchMessageCount(len(batch)), attribute.Int("stream.attempt", r.Attempt))
		if r.held == nil {
			attrs = append(attrs, attribute.Float64("stream.broker.wait", max(0, c.polled.Sub(r.Timestamp).Seconds())))
		} else if o, _ := ReadOrigin(r.raw); o.Replays > 0 {
			attrs = append(attrs, attribute.Int("stream.replays", o.Replays))
		}
		opts := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(attrs...)}
		if len(spans) > 0 {
			opts = append(opts, trace.WithLinks(trace.Link{SpanContext: spans[0].SpanContext()}))
		}
		own, span := otel.Tracer(scope).Start(r.within(ctx), "process "+r.lane.topic, opts...)
		if !span.IsRecording() {
			continue // This process exports nothing: the trace passes through.
		}
		if len(spans) == 0 {
			call = own
		} else {
			spans[0].AddLink(trace.Link{SpanContext: r.SpanContext()})
		}
		spans = append(spans, processing{Span: span, index: i, carried: r.TraceParent})
		r.TraceParent = message.Render(span.SpanContext())
	}
	return call, spans
}

// endSpans says what became of each record. A rejection is the fault of those
// that it names: the others only come again.
func endSpans(spans []processing, batch []Record, err error, outcome class) {
	if len(spans) == 0 {
		return
	}
	named := make(map[int]error)
	if outcome == rejected {
		rejections(err, named)
	}
	for _, s := range spans {
		batch[s.index].TraceParent = s.carried
		own := err
		if outcome == rejected {
			own = named[s.index]
		}
		s.SetAttributes(attribute.Stringer("stream.outcome", outcome))
		telemetry.Fail(s, own)
		s.End()
	}
}

// sendSpan spans the way of a record out of its normal path, to the retry topic
// or the DLQ. Records keep what they carry there, so it is a sibling of the
// attempts before and after. It is nil for traces that nobody records.
func (c *Consumer) sendSpan(ctx context.Context, r *Record, to, reason string) trace.Span {
	if !r.Sampled() {
		return nil
	}
	attrs := append(c.describe(r, "send", to), semconv.MessagingOperationTypeSend, attribute.String("stream.reason", reason))
	_, span := otel.Tracer(scope).Start(r.within(ctx), "send "+to,
		trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(attrs...))
	return span
}

// endSend ends a span of sendSpan; err is why the record could not be written,
// or why it is given up. The offset is the record's new one.
func endSend(span trace.Span, to *kgo.Record, err error) {
	if span == nil {
		return
	}
	span.SetAttributes(semconv.MessagingKafkaOffset(int(to.Offset)))
	telemetry.Fail(span, err)
	span.End()
}

func (c *Consumer) describe(r *Record, operation, topic string) []attribute.KeyValue {
	return []attribute.KeyValue{
		semconv.MessagingSystemKafka, semconv.MessagingOperationName(operation), semconv.MessagingDestinationName(topic),
		semconv.MessagingConsumerGroupName(c.cfg.Group),
		semconv.MessagingDestinationPartitionID(strconv.Itoa(int(r.Partition))), semconv.MessagingKafkaOffset(int(r.Offset)),
		semconv.MessagingMessageID(r.ID), semconv.MessagingKafkaMessageKey(string(r.Key)), semconv.CloudEventsEventType(r.Type),
	}
}

// observed is for measurements of this record: of a recorded trace a histogram keeps
// an exemplar, which leads there.
func (r *Record) observed(ctx context.Context) context.Context {
	if !r.Sampled() {
		return ctx
	}
	return r.within(ctx)
}

// within is a context in the trace of the record, for spans and log lines.
func (r *Record) within(ctx context.Context) context.Context {
	return trace.ContextWithRemoteSpanContext(ctx, r.SpanContext())
}
