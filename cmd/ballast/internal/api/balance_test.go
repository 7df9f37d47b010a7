package api

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"example.com/ballast/gen/orders/v1/ordersv1connect"

	ordersv1 "example.com/ballast/gen/orders/v1"
)

// replica is a service of one method that can be away in several ways.
type replica struct {
	ordersv1connect.UnimplementedOrderServiceHandler

	url   string
	mode  atomic.Value // serving, starting, overloaded, draining or cutting
	calls atomic.Int64
	keys  atomic.Value
}

func serve(t *testing.T) *replica {
	t.Helper()
	r := &replica{}
	r.mode.Store("serving")
	server := connect.NewServer()
	ordersv1connect.RegisterOrderServiceHandler(server, r)
	mux := http.NewServeMux()
	connecthttp.Mount(mux, server)
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.calls.Add(1)
		r.keys.Store(req.Header.Get("Idempotency-Key"))
		switch r.mode.Load() {
		case "starting":
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Retry-After", "30")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"code":"unavailable","message":"the service is starting"}`))
			return
		case "overloaded":
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			// google.rpc.ErrorInfo with the reason OVERLOADED.
			_, _ = w.Write([]byte(`{"code":"unavailable","message":"too much","details":[{"type":"google.rpc.ErrorInfo","value":"CgpPVkVSTE9BREVE"}]}`))
			return
		case "cutting":
			panic(http.ErrAbortHandler)
		case "draining":
			w.Header().Set("Connection", "close")
		}
		mux.ServeHTTP(w, req)
	}))
	t.Cleanup(listener.Close)
	r.url = listener.URL
	return r
}

func (r *replica) PlaceOrder(context.Context, *ordersv1.PlaceOrderRequest) (*ordersv1.PlaceOrderResponse, error) {
	return &ordersv1.PlaceOrderResponse{Order: &ordersv1.Order{OrderId: r.url}}, nil
}

// refusing returns a URL where nobody listens.
func refusing(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func clientOf(urls ...string) *Client {
	return New(Config{
		Endpoints: Endpoints{Orders: urls}, Wait: 20 * time.Second, Attempt: 5 * time.Second,
		Mint: func(string, bool) (string, error) { return "token", nil },
	})
}

func place(t *testing.T, c *Client, times int) {
	t.Helper()
	for range times {
		if _, err := c.Place(t.Context(), "ada", "the-key", &ordersv1.PlaceOrderRequest{}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReplicasTakeTurns(t *testing.T) {
	t.Parallel()
	a, b := serve(t), serve(t)
	place(t, clientOf(a.url, b.url), 10)
	if a.calls.Load() != 5 || b.calls.Load() != 5 {
		t.Errorf("calls: %d and %d of 10", a.calls.Load(), b.calls.Load())
	}
}

// TestAReplicaThatIsAwayIsPassedOver: the attempt goes to the other at once, with
// the same key, and the next calls don't ask the one that is away.
func TestAReplicaThatIsAwayIsPassedOver(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"starting", "cutting", "draining", "refusing"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			a, b := serve(t), serve(t)
			a.mode.Store(mode)
			if mode == "refusing" {
				a.url = refusing(t)
			}
			began := time.Now()
			place(t, clientOf(a.url, b.url), 10)
			// One attempt finds out; a connection that is cut is tried once more by
			// net/http itself, since a key makes the call safe to repeat.
			if n := a.calls.Load(); n > 2 {
				t.Errorf("the replica that is away was asked %d times", n)
			}
			if took := time.Since(began); took >= passOver {
				t.Errorf("ten calls took %v: the other was there", took)
			}
			if b.keys.Load() != "the-key" {
				t.Errorf("the other replica saw the key %q", b.keys.Load())
			}
		})
	}
}

// TestAnOverloadedReplicaIsHeeded: one that says why it refuses gets the pause
// that it asks for, though another is there.
func TestAnOverloadedReplicaIsHeeded(t *testing.T) {
	t.Parallel()
	a, b := serve(t), serve(t)
	a.mode.Store("overloaded")
	c := clientOf(a.url, b.url)
	began := time.Now()
	place(t, c, 2)
	if took := time.Since(began); took < time.Second {
		t.Errorf("the call was repeated after %v, and the server asked for a second", took)
	}
	if a.calls.Load() != 1 || b.calls.Load() != 2 {
		t.Errorf("calls: %d and %d", a.calls.Load(), b.calls.Load())
	}
}

func TestAReplicaComesBack(t *testing.T) {
	t.Parallel()
	a, b := serve(t), serve(t)
	client := clientOf(a.url, b.url)
	hc, _ := balanced(client.http, []string{a.url, b.url})
	balancer, _ := hc.Transport.(*balancer)
	if !balancer.leave(0, time.Hour) || balancer.leave(1, 0) {
		t.Error("one of two is away: the other is there, and it has no other")
	}
	for range 3 {
		if got := balancer.pick(-1); got != 1 {
			t.Errorf("picked %d, which is away", got)
		}
	}
	if got := balancer.pick(1); got != 0 {
		t.Errorf("picked %d: the same again", got)
	}
	balancer.until[0] = time.Now()
	if first, second := balancer.pick(-1), balancer.pick(-1); first == second {
		t.Error("the replica that is back gets no calls")
	}
}
