package edge_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/google/go-cmp/cmp"

	ordersv1 "example.com/ballast/gen/orders/v1"
	"example.com/ballast/pkg/edge"
)

// eachProtocol runs a test with a client of every protocol.
func eachProtocol(t *testing.T, place placeFunc, change func(*edge.Config), check func(*testing.T, *bundle, func(context.Context, *ordersv1.PlaceOrderRequest) (*ordersv1.PlaceOrderResponse, error))) {
	t.Helper()
	b := setup(t, place, change)
	clients := b.clients(b.token)
	for _, name := range slices.Sorted(maps.Keys(clients)) {
		t.Run(name, func(t *testing.T) {
			check(t, b, clients[name].PlaceOrder)
		})
	}
}

func TestHandlerSeesTheCaller(t *testing.T) {
	t.Parallel()
	eachProtocol(t, echo, nil, func(t *testing.T, _ *bundle, call placeFunc) {
		res, err := call(t.Context(), good())
		if err != nil {
			t.Fatal(err)
		}
		if got := res.GetOrder().GetCustomerId(); got != "alice" {
			t.Errorf("customer %q, want alice", got)
		}
	})
}

func TestInvalidFieldsAreNamed(t *testing.T) {
	t.Parallel()
	never := func(context.Context, *ordersv1.PlaceOrderRequest) (*ordersv1.PlaceOrderResponse, error) {
		return nil, errors.New("the handler was called")
	}
	eachProtocol(t, never, nil, func(t *testing.T, _ *bundle, call placeFunc) {
		req := good()
		req.Lines[1].Quantity = 0
		req.ShipTo = nil
		_, err := call(t.Context(), req)
		if got := connect.CodeOf(err); got != connect.CodeInvalidArgument {
			t.Fatalf("code %v, want invalid_argument: %v", got, err)
		}
		want := map[string]string{
			"lines[1].quantity": "must be greater than 0 and less than or equal to 100000",
			"ship_to":           "value is required",
		}
		if diff := cmp.Diff(want, fields(t, err)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOversizeIsRefusedForGood(t *testing.T) {
	t.Parallel()
	small := func(c *edge.Config) { c.MaxBytes = 1000 }
	eachProtocol(t, echo, small, func(t *testing.T, _ *bundle, call placeFunc) {
		req := good()
		req.ShipTo.Name = strings.Repeat("x", 2000)
		_, err := call(t.Context(), req)
		if got := connect.CodeOf(err); got != connect.CodeInvalidArgument {
			t.Fatalf("code %v, want invalid_argument, which nobody retries: %v", got, err)
		}
		if got := reason(t, err); got != "REQUEST_TOO_LARGE" {
			t.Errorf("reason %q: %v", got, err)
		}
		if !strings.Contains(err.Error(), "1000 bytes") {
			t.Errorf("the limit is missing: %v", err)
		}
	})
}

func TestNothingOfAnInternalErrorLeaks(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() error{
		"panic":   func() error { panic(errors.New("secret")) },
		"unknown": func() error { return errors.New("secret") },
		"coded":   func() error { return connect.NewError(connect.CodeInternal, "secret") },
		"remote":  func() error { return connect.NewError(connect.CodeNotFound, "secret").WithRemote() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			place := func(context.Context, *ordersv1.PlaceOrderRequest) (*ordersv1.PlaceOrderResponse, error) {
				return nil, fail()
			}
			eachProtocol(t, place, nil, func(t *testing.T, b *bundle, call placeFunc) {
				before := strings.Count(b.logs.String(), "level=ERROR")
				_, err := call(t.Context(), good())
				if connect.CodeOf(err) != connect.CodeInternal || strings.Contains(err.Error(), "secret") {
					t.Errorf("want a bare internal error: %v", err)
				}
				text := b.logs.String()
				if n := strings.Count(text, "level=ERROR") - before; n != 1 {
					t.Errorf("%d lines logged, want 1", n)
				}
				if !strings.Contains(text, "secret") || !strings.Contains(text, "PlaceOrder") {
					t.Errorf("the log lacks the cause or the procedure: %s", text)
				}
			})
		})
	}
}

func TestErrorsForTheClientPass(t *testing.T) {
	t.Parallel()
	place := func(context.Context, *ordersv1.PlaceOrderRequest) (*ordersv1.PlaceOrderResponse, error) {
		err := edge.Error(connect.CodeFailedPrecondition, "the price has changed", "PRICE_CHANGED", map[string]string{"total": "GBP 12"})
		return nil, fmt.Errorf("place: %w", err)
	}
	eachProtocol(t, place, nil, func(t *testing.T, b *bundle, call placeFunc) {
		_, err := call(t.Context(), good())
		if connect.CodeOf(err) != connect.CodeFailedPrecondition || reason(t, err) != "PRICE_CHANGED" {
			t.Errorf("want failed_precondition PRICE_CHANGED: %v", err)
		}
		if log := b.logs.String(); log != "" {
			t.Errorf("a client's error was logged: %s", log)
		}
	})
}

// Why calls are refused for the moment is logged, but not once a call: a
// dependency that is away refuses all of them.
func TestCauseIsLoggedAndNotTold(t *testing.T) {
	t.Parallel()
	place := func(context.Context, *ordersv1.PlaceOrderRequest) (*ordersv1.PlaceOrderResponse, error) {
		err := edge.RetryLater(connect.CodeUnavailable, "try later", "STORE_UNAVAILABLE", time.Second)
		return nil, fmt.Errorf("place: %w", edge.Because(err, errors.New("secret")))
	}
	b := setup(t, place, nil)
	for range 20 {
		status, header, body := b.post(t, placeJSON)
		if status != 503 || header.Get("Retry-After") != "1" || strings.Contains(body, "secret") || !strings.Contains(body, "STORE_UNAVAILABLE") {
			t.Fatalf("%d, %v, %s", status, header, body)
		}
	}
	// Twenty calls take a fraction of a second, a few on a very busy machine.
	if n := strings.Count(b.logs.String(), "error=secret"); n < 1 || n > 10 {
		t.Errorf("%d lines with the cause:\n%s", n, b.logs)
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		brought time.Duration // by the client; 0 for none
		want    time.Duration // at the handler, less than a second of travel
	}{
		"none":    {0, 5 * time.Second},
		"shorter": {3 * time.Second, 3 * time.Second},
		"longer":  {time.Hour, 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			left := make(chan time.Duration, 1)
			place := func(ctx context.Context, req *ordersv1.PlaceOrderRequest) (*ordersv1.PlaceOrderResponse, error) {
				deadline, _ := ctx.Deadline()
				left <- time.Until(deadline)
				return echo(ctx, req)
			}
			limits := func(c *edge.Config) { c.Deadline, c.MaxDeadline = 5*time.Second, 20*time.Second }
			if tc.brought == 0 {
				b := setup(t, place, limits)
				b.post(t, `{"lines":[{"sku":"A","quantity":1}],"shipTo":{"country":"GB"}}`)
				assertAbout(t, <-left, tc.want)
				return
			}
			eachProtocol(t, place, limits, func(t *testing.T, _ *bundle, call placeFunc) {
				ctx, cancel := context.WithTimeout(t.Context(), tc.brought)
				defer cancel()
				if _, err := call(ctx, good()); err != nil {
					t.Fatal(err)
				}
				assertAbout(t, <-left, tc.want)
			})
		})
	}
}

func assertAbout(t *testing.T, got, want time.Duration) {
	t.Helper()
	if got > want || got < want-time.Second {
		t.Errorf("deadline in %v, want about %v", got, want)
	}
}

func TestDeadlinePassedInsideIsSaid(t *testing.T) {
	t.Parallel()
	place := func(ctx context.Context, _ *ordersv1.PlaceOrderRequest) (*ordersv1.PlaceOrderResponse, error) {
		<-ctx.Done()
		return nil, fmt.Errorf("query: %w", ctx.Err())
	}
	short := func(c *edge.Config) { c.MaxDeadline = 20 * time.Millisecond }
	eachProtocol(t, place, short, func(t *testing.T, _ *bundle, call placeFunc) {
		_, err := call(t.Context(), good())
		if connect.CodeOf(err) != connect.CodeDeadlineExceeded || strings.Contains(err.Error(), "query") {
			t.Errorf("want a bare deadline_exceeded: %v", err)
		}
	})
}

func TestOrderOfTheChain(t *testing.T) {
	t.Parallel()
	var seen []string
	note := func(name string) connect.ServerInterceptor {
		return func(next connect.ServerFunc) connect.ServerFunc {
			return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
				_, known := edge.Caller(ctx)
				seen = append(seen, fmt.Sprintf("%s caller=%t", name, known))
				return next(ctx, spec, stream)
			}
		}
	}
	b := setup(t, echo, func(c *edge.Config) {
		c.Admit = []connect.ServerInterceptor{note("admit")}
		c.Limit = []connect.ServerInterceptor{note("limit")}
	})
	if status, _, body := b.post(t, `{"lines":[]}`); status != 400 {
		t.Fatalf("status %d: %s", status, body)
	}
	if diff := cmp.Diff([]string{"admit caller=false", "limit caller=true"}, seen); diff != "" {
		t.Error(diff)
	}
}
