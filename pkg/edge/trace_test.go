package edge_test

import (
	"context"
	"sync"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	ordersv1 "example.com/ballast/gen/orders/v1"
	"example.com/ballast/pkg/edge"
)

// sampleNone makes this process record what others have begun to record and
// nothing else. The provider is a global one.
var sampleNone = sync.OnceFunc(func() {
	otel.SetTextMapPropagator(propagation.TraceContext{})
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.NeverSample()))))
})

// A caller has a trace recorded only where callers are trusted to.
func TestACustomerCantHaveEverythingRecorded(t *testing.T) {
	t.Parallel()
	sampleNone()
	caller := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled})
	for _, trusted := range []bool{false, true} {
		var got trace.SpanContext
		b := setup(t, func(ctx context.Context, _ *ordersv1.PlaceOrderRequest) (*ordersv1.PlaceOrderResponse, error) {
			got = trace.SpanContextFromContext(ctx)
			return &ordersv1.PlaceOrderResponse{}, nil
		}, func(c *edge.Config) { c.TrustTraces = trusted })
		ctx := trace.ContextWithSpanContext(t.Context(), caller)
		if _, err := b.clients(b.token)["connect"].PlaceOrder(ctx, good()); err != nil {
			t.Fatal(err)
		}
		if same := got.TraceID() == caller.TraceID(); same != trusted || got.IsSampled() != trusted || !got.IsValid() {
			t.Errorf("trusted %t: the call runs in %v, sampled %t", trusted, got.TraceID(), got.IsSampled())
		}
	}
}
