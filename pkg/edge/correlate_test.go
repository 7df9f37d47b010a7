package edge_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"github.com/google/go-cmp/cmp"

	ordersv1 "example.com/ballast/gen/orders/v1"
	"example.com/ballast/gen/orders/v1/ordersv1connect"
	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/telemetry"
)

// TestCorrelation: a call that its client names by a UUID is told in one line,
// and gets the name back; nothing else that a client writes gets anywhere.
func TestCorrelation(t *testing.T) {
	t.Parallel()
	const id = "0199f0a2-6a0e-7c1b-9a5e-2f6d1c3b4a59"
	for sent, want := range map[string]string{"": "", id: id, "4242424242424242": "", "00-1": ""} {
		var headers []string
		b := setup(t, func(ctx context.Context, _ *ordersv1.PlaceOrderRequest) (*ordersv1.PlaceOrderResponse, error) {
			telemetry.Label(ctx, slog.String("order_id", "o-1"))
			if info, ok := connect.CallInfoForServerContext(ctx); ok {
				headers = append(headers, info.RequestHeader().Get("Tracestate")+info.RequestHeader().Get("Baggage"))
			}
			return &ordersv1.PlaceOrderResponse{}, nil
		}, nil)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+ordersv1connect.OrderServicePlaceOrderProcedure,
			strings.NewReader(`{"lines":[{"sku":"A","quantity":1}],"shipTo":{"country":"GB"}}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+b.token)
		req.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		req.Header.Set("Tracestate", "who=ada@example.org")
		req.Header.Set("Baggage", "card=4242424242424242")
		req.Header.Set(edge.HeaderCorrelation, sent)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := res.Header.Get(edge.HeaderCorrelation); res.StatusCode != http.StatusOK || got != want {
			t.Errorf("%q: %s with %q", sent, res.Status, got)
		}
		lines := strings.Count(b.logs.String(), "call answered")
		if said := want != ""; said != (lines == 1) || lines > 1 {
			t.Errorf("%q: %d lines: %s", sent, lines, b.logs.String())
		}
		if diff := cmp.Diff([]string{""}, headers); diff != "" {
			t.Errorf("tracestate and baggage: %s", diff)
		}
	}
}
