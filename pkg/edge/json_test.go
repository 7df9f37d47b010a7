package edge_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	ordersv1 "example.com/ballast/gen/orders/v1"
	"example.com/ballast/pkg/edge"
)

// TestJSONRefusals is what a person with curl sees.
func TestJSONRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t, echo, nil)
	for name, tc := range map[string]struct {
		body, message string
		field         string // in the BadRequest detail; empty for none
	}{
		"broken":        {`{"lines":`, "the request is not valid JSON", ""},
		"empty":         {``, "zero-length payload", ""},
		"not an object": {`[1]`, "the request is not valid JSON", ""},
		"unknown field": {`{"linez":[]}`, `unknown field "linez"`, "linez"},
		"wrong type":    {`{"lines":[{"sku":"A","quantity":"many"}]}`, "invalid value for int32", "quantity"},
		"too big a number": {
			`{"lines":[{"sku":"A","quantity":99999999999}]}`, "invalid value for int32", "quantity"},
		"missing field": {`{"lines":[{"sku":"A","quantity":1}]}`, "ship_to: value is required", "ship_to"},
		"broken rule": {
			`{"lines":[{"sku":"A","quantity":-1}],"shipTo":{"country":"GB"}}`, "lines[0].quantity: ", "lines[0].quantity"},
		"bad country": {
			`{"lines":[{"sku":"A","quantity":1}],"shipTo":{"country":"gb"}}`, "ship_to.country: ", "ship_to.country"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, _, body := b.post(t, tc.body)
			var answer struct {
				Code, Message string
				Details       []struct {
					Type  string
					Debug struct {
						FieldViolations []struct{ Field string }
					}
				}
			}
			if err := json.Unmarshal([]byte(body), &answer); err != nil {
				t.Fatalf("%v: %s", err, body)
			}
			if status != http.StatusBadRequest || answer.Code != "invalid_argument" {
				t.Errorf("status %d code %q, want 400 invalid_argument", status, answer.Code)
			}
			if !strings.Contains(answer.Message, tc.message) {
				t.Errorf("message %q lacks %q", answer.Message, tc.message)
			}
			var field string
			for _, d := range answer.Details {
				if d.Type == "google.rpc.BadRequest" && len(d.Debug.FieldViolations) > 0 {
					field = d.Debug.FieldViolations[0].Field
				}
			}
			if field != tc.field {
				t.Errorf("field %q, want %q: %s", field, tc.field, body)
			}
		})
	}
	if log := b.logs.String(); log != "" {
		t.Errorf("clients' mistakes were logged: %s", log)
	}
}

func TestRetryAfterHeader(t *testing.T) {
	t.Parallel()
	busy := func(context.Context, *ordersv1.PlaceOrderRequest) (*ordersv1.PlaceOrderResponse, error) {
		return nil, edge.RetryLater(connect.CodeAborted, "the same key is in flight", "KEY_IN_FLIGHT", 1500*time.Millisecond)
	}
	b := setup(t, busy, nil)
	status, header, body := b.post(t, `{"lines":[{"sku":"A","quantity":1}],"shipTo":{"country":"GB"}}`)
	if status != http.StatusConflict || header.Get("Retry-After") != "2" {
		t.Errorf("status %d, Retry-After %q, want 409 and 2", status, header.Get("Retry-After"))
	}
	for _, want := range []string{"KEY_IN_FLIGHT", "google.rpc.RetryInfo", "1.500s"} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is missing: %s", want, body)
		}
	}
}

func TestHealthNeedsNoToken(t *testing.T) {
	t.Parallel()
	down := make(chan struct{})
	b := setup(t, echo, func(c *edge.Config) {
		c.Healthy = func(context.Context) error {
			select {
			case <-down:
				return context.Canceled
			default:
				return nil
			}
		}
	})
	client := edge.NewClientHTTP(edge.NewHTTP2Client(), b.url, "", connecthttp.WithGRPC())
	spec := connect.Spec{Procedure: healthv1.Health_Check_FullMethodName}
	check := func(service string) (healthv1.HealthCheckResponse_ServingStatus, error) {
		var res healthv1.HealthCheckResponse
		err := client.CallUnary(t.Context(), spec, &healthv1.HealthCheckRequest{Service: service}, &res)
		return res.GetStatus(), err
	}
	for _, service := range []string{"", "orders.v1.OrderService"} {
		if got, err := check(service); err != nil || got != healthv1.HealthCheckResponse_SERVING {
			t.Errorf("service %q: %v, %v", service, got, err)
		}
	}
	if _, err := check("nope"); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("unknown service: %v", err)
	}
	close(down)
	if got, err := check(""); err != nil || got != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("after the fault: %v, %v", got, err)
	}
}
