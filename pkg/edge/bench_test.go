package edge_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	ordersv1 "example.com/ballast/gen/orders/v1"
	"example.com/ballast/gen/orders/v1/ordersv1connect"
	"example.com/ballast/pkg/edge"
)

const placeJSON = `{"lines":[{"sku":"85123A","quantity":6},{"sku":"71053","quantity":2},{"sku":"84406B","quantity":8}],` +
	`"shipTo":{"country":"GB","name":"A. Customer","lines":["1 High Street"],"city":"London","postalCode":"N1 1AA"}}`

// BenchmarkPlaceOrder is what one JSON request of three lines costs on the
// server between the parsed HTTP request and the written answer, with a handler
// that does nothing. "bare" is connect alone, so the difference is ours.
func BenchmarkPlaceOrder(b *testing.B) {
	place := func(context.Context, *ordersv1.PlaceOrderRequest) (*ordersv1.PlaceOrderResponse, error) {
		return &ordersv1.PlaceOrderResponse{Order: &ordersv1.Order{OrderId: "0190a1b2-0000-7000-8000-000000000000"}}, nil
	}
	keys, err := edge.NewKeyPair()
	if err != nil {
		b.Fatal(err)
	}
	token, err := edge.Sign(keys.Private, edge.Identity{Customer: "alice"}, time.Now(), time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("bare", func(b *testing.B) {
		server := connect.NewServer()
		ordersv1connect.RegisterOrderServiceHandler(server, &orders{place: place})
		mux := http.NewServeMux()
		connecthttp.Mount(mux, server)
		serve(b, mux, token)
	})
	b.Run("edge", func(b *testing.B) {
		server, err := edge.NewServer(edge.Config{Logger: slog.New(slog.DiscardHandler), Verifier: edge.NewVerifier(keys.Public)})
		if err != nil {
			b.Fatal(err)
		}
		ordersv1connect.RegisterOrderServiceHandler(server.RPC, &orders{place: place})
		handler, err := server.Handler()
		if err != nil {
			b.Fatal(err)
		}
		serve(b, handler, token)
	})
}

func serve(b *testing.B, handler http.Handler, token string) {
	b.Helper()
	b.ReportAllocs()
	defer reportCPU(b)()
	for b.Loop() {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodPost,
			ordersv1connect.OrderServicePlaceOrderProcedure, strings.NewReader(placeJSON))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			text, _ := io.ReadAll(w.Body)
			b.Fatalf("status %d: %s", w.Code, text)
		}
	}
}

// BenchmarkRoundTrip is a whole call over a loopback connection, both ends.
func BenchmarkRoundTrip(b *testing.B) {
	s := setup(b, echo, nil)
	client := ordersv1connect.NewOrderServiceClient(edge.NewClient(s.url, s.token, connecthttp.WithProtoJSON()))
	req := good()
	b.ReportAllocs()
	defer reportCPU(b)()
	for b.Loop() {
		if _, err := client.PlaceOrder(b.Context(), req); err != nil {
			b.Fatal(err)
		}
	}
}

// reportCPU reports the CPU time of an operation, garbage collection included:
// on a machine with neighbours the wall clock measures them, too.
func reportCPU(b *testing.B) func() {
	b.Helper()
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	began := used()
	return func() {
		b.ReportMetric(float64((used()-began).Nanoseconds())/float64(b.N)/1e3, "cpu-us/op")
	}
}
