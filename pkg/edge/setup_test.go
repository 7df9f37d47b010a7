package edge_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	ordersv1 "example.com/ballast/gen/orders/v1"
	"example.com/ballast/gen/orders/v1/ordersv1connect"
	"example.com/ballast/pkg/edge"
)

// orders is a service whose behaviour a test chooses.
type orders struct {
	ordersv1connect.UnimplementedOrderServiceHandler

	place func(ctx context.Context, req *ordersv1.PlaceOrderRequest) (*ordersv1.PlaceOrderResponse, error)
}

func (o *orders) PlaceOrder(ctx context.Context, req *ordersv1.PlaceOrderRequest) (*ordersv1.PlaceOrderResponse, error) {
	return o.place(ctx, req)
}

type placeFunc = func(context.Context, *ordersv1.PlaceOrderRequest) (*ordersv1.PlaceOrderResponse, error)

// echo answers with the caller as the customer.
func echo(ctx context.Context, _ *ordersv1.PlaceOrderRequest) (*ordersv1.PlaceOrderResponse, error) {
	caller, ok := edge.Caller(ctx)
	if !ok {
		return nil, errors.New("no caller in the context")
	}
	return &ordersv1.PlaceOrderResponse{Order: &ordersv1.Order{CustomerId: caller.Customer}}, nil
}

type bundle struct {
	url   string
	keys  edge.KeyPair
	token string // of the customer alice, good for an hour
	logs  *lines
}

// setup starts a server on a port of its own, with h1 and h2c as in production.
func setup(t testing.TB, place placeFunc, change func(*edge.Config)) *bundle {
	t.Helper()
	keys, err := edge.NewKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	b := &bundle{keys: keys, logs: &lines{}}
	b.token = b.sign(t, edge.Identity{Customer: "alice"}, time.Hour)
	cfg := edge.Config{
		Logger:   slog.New(slog.NewTextHandler(b.logs, nil)),
		Verifier: edge.NewVerifier(keys.Public),
	}
	if change != nil {
		change(&cfg)
	}
	server, err := edge.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ordersv1connect.RegisterOrderServiceHandler(server.RPC, &orders{place: place})
	handler, err := server.Handler()
	if err != nil {
		t.Fatal(err)
	}
	hs := httptest.NewUnstartedServer(handler)
	hs.Config.Protocols = new(http.Protocols)
	hs.Config.Protocols.SetHTTP1(true)
	hs.Config.Protocols.SetUnencryptedHTTP2(true)
	hs.Start()
	t.Cleanup(hs.Close)
	b.url = hs.URL
	return b
}

func (b *bundle) sign(t testing.TB, id edge.Identity, ttl time.Duration) string {
	t.Helper()
	token, err := edge.Sign(b.keys.Private, id, time.Now(), ttl)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// clients returns one client per protocol.
func (b *bundle) clients(token string) map[string]ordersv1connect.OrderServiceClient {
	h1, h2 := edge.NewHTTPClient(), edge.NewHTTP2Client()
	of := func(hc *http.Client, opts ...connecthttp.Option) ordersv1connect.OrderServiceClient {
		return ordersv1connect.NewOrderServiceClient(edge.NewClientHTTP(hc, b.url, token, opts...))
	}
	return map[string]ordersv1connect.OrderServiceClient{
		"connect":  of(h1),
		"json":     of(h1, connecthttp.WithProtoJSON()),
		"json h2c": of(h2, connecthttp.WithProtoJSON()),
		"grpc":     of(h2, connecthttp.WithGRPC()),
		"grpc-web": of(h1, connecthttp.WithGRPCWeb()),
	}
}

// post sends a JSON body as curl would and returns status, headers and body.
func (b *bundle) post(t *testing.T, body string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		b.url+ordersv1connect.OrderServicePlaceOrderProcedure, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+b.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(text)
}

// good is a request that keeps every rule.
func good() *ordersv1.PlaceOrderRequest {
	return &ordersv1.PlaceOrderRequest{
		Lines: []*ordersv1.LineRequest{
			{Sku: "85123A", Quantity: 6}, {Sku: "71053", Quantity: 2}, {Sku: "84406B", Quantity: 8},
		},
		ShipTo: &ordersv1.Address{Country: "GB", Name: "A. Customer", Lines: []string{"1 High Street"}, City: "London", PostalCode: "N1 1AA"},
	}
}

// detail returns the first detail of a type, or the zero one.
func detail[T any](t *testing.T, err error) T {
	t.Helper()
	var found T
	ce, ok := errors.AsType[*connect.Error](err)
	if !ok {
		t.Fatalf("no connect error: %v", err)
	}
	for _, d := range ce.Details() {
		msg, err := connectproto.UnmarshalErrorDetail(d)
		if err != nil {
			t.Fatal(err)
		}
		if want, ok := msg.(T); ok {
			return want
		}
	}
	return found
}

func reason(t *testing.T, err error) string {
	t.Helper()
	return detail[*errdetails.ErrorInfo](t, err).GetReason()
}

// fields returns field: description of the BadRequest detail.
func fields(t *testing.T, err error) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, v := range detail[*errdetails.BadRequest](t, err).GetFieldViolations() {
		out[v.GetField()] = v.GetDescription()
	}
	return out
}

// lines collects a log from many goroutines.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
