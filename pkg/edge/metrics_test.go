package edge_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/google/go-cmp/cmp"

	ordersv1 "example.com/ballast/gen/orders/v1"
	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/testkit"
)

// TestEveryCallIsCounted by procedure and code, also those that are refused before
// their handler: what was shed, who called too often, who has no token. A procedure
// that there is not makes no series: its name would be the caller's. Not parallel:
// the meter provider is the process's.
func TestEveryCallIsCounted(t *testing.T) {
	metrics := testkit.GlobalMetrics(t)
	refuse := func(when string, code connect.Code) connect.ServerInterceptor {
		return func(next connect.ServerFunc) connect.ServerFunc {
			return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
				if info, ok := connect.CallInfoForServerContext(ctx); ok && info.RequestHeader().Get("X-Refuse") == when {
					return edge.RetryLater(code, "no", "NO", time.Second)
				}
				return next(ctx, spec, stream)
			}
		}
	}
	handler := echo
	b := setup(t, func(ctx context.Context, req *ordersv1.PlaceOrderRequest) (*ordersv1.PlaceOrderResponse, error) {
		return handler(ctx, req)
	}, func(c *edge.Config) {
		c.Admit = []connect.ServerInterceptor{refuse("shed", connect.CodeUnavailable)}
		c.Limit = []connect.ServerInterceptor{refuse("limit", connect.CodeResourceExhausted)}
	})
	call := func(token, header string, req *ordersv1.PlaceOrderRequest) {
		ctx, info := connect.NewClientContext(t.Context())
		info.RequestHeader().Set("X-Refuse", header)
		_, _ = b.clients(token)["connect"].PlaceOrder(ctx, req)
	}
	for range 3 {
		call(b.token, "", good())
	}
	call(b.token, "shed", good())
	call(b.token, "shed", good())
	call(b.token, "limit", good())
	call("none", "", good())
	call(b.token, "", &ordersv1.PlaceOrderRequest{})
	handler = func(context.Context, *ordersv1.PlaceOrderRequest) (*ordersv1.PlaceOrderResponse, error) {
		return nil, errors.New("broken")
	}
	call(b.token, "", good())
	handler = func(context.Context, *ordersv1.PlaceOrderRequest) (*ordersv1.PlaceOrderResponse, error) {
		panic("boom")
	}
	call(b.token, "", good())
	for _, unknown := range []string{"/orders.v1.OrderService/NoSuchCall", "/no.such.Service/Call"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+unknown, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}

	got, err := metrics.Values(t)
	if err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(got, func(name string, _ float64) bool { return !strings.HasPrefix(name, "rpc.server.call.duration{") })
	want := map[string]float64{}
	for code, n := range map[string]float64{
		"OK": 3, "UNAVAILABLE": 2, "RESOURCE_EXHAUSTED": 1, "UNAUTHENTICATED": 1, "INVALID_ARGUMENT": 1, "INTERNAL": 2,
	} {
		failed := ""
		if code != "OK" {
			failed = "error.type=" + code + ","
		}
		want["rpc.server.call.duration{"+failed+"rpc.method=orders.v1.OrderService/PlaceOrder,rpc.response.status_code="+code+",rpc.system.name=connectrpc}"] = n
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
