package rpc

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/telemetry"
	"example.com/ballast/services/orders/internal/order"
)

// about names the order in the call's span, by which its traces are found.
func about(ctx context.Context, id ids.ID) {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.SetAttributes(attribute.String("order.id", id.String()))
	}
}

// delivering spans the way of an event to the customer, in the trace of the
// message that brought it and with a link to the stream's own span. What was read
// from the store came with no message, and has none.
func delivering(ctx context.Context, r order.Recorded) func(error) {
	if r.Trace == "" {
		return func(error) {}
	}
	stream := trace.LinkFromContext(ctx)
	_, span := otel.Tracer("example.com/ballast/services/orders").Start(
		trace.ContextWithRemoteSpanContext(ctx, message.ParseTrace(r.Trace)), "deliver WatchOrder",
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithLinks(stream),
		trace.WithAttributes(attribute.String("order.id", r.Order.String()), attribute.Int64("order.version", r.Version)))
	return func(err error) {
		telemetry.Fail(span, err)
		span.End()
	}
}
