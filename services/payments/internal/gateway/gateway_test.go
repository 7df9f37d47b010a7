package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/pkg/money"
	"example.com/ballast/services/payments/internal/gateway"
	"example.com/ballast/services/payments/internal/payment"
)

func connect(t *testing.T, url string) *gateway.Gateway {
	t.Helper()
	g, err := gateway.New(gateway.Config{URL: url, APIKey: "sk_test_123"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

func TestNewRefusesWrongSettings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ url, key, want string }{
		{"", "k", "PROVIDER_URL"}, {"127.0.0.1:8090", "k", "PROVIDER_URL"}, {"http://127.0.0.1", "", "PROVIDER_API_KEY"},
	} {
		if _, err := gateway.New(gateway.Config{URL: c.url, APIKey: c.key}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q, %q: %v", c.url, c.key, err)
		}
	}
}

// Every kind of answer has its class. What proves nothing is unknown.
func TestClasses(t *testing.T) {
	t.Parallel()
	card := `{"error":{"type":"card_error","code":"card_declined","decline_code":"lost_card","message":"m",
		"payment_intent":{"id":"pi_1","status":"requires_payment_method","currency":"gbp"}}}`
	for _, c := range []struct {
		name   string
		status int
		body   string
		class  error
		result payment.Result
	}{
		{"declined", 402, card, gateway.ErrDeclined,
			payment.Result{Outcome: payment.Refused, Intent: payment.IntentFailed, Code: "lost_card"}},
		{"declined in words", 402, `{"error":{"type":"card_error","code":"Ada Lovelace","decline_code":"4242424242424242",
			"message":"Ada Lovelace, your card 4242424242424242 was declined"}}`, gateway.ErrDeclined,
			payment.Result{Outcome: payment.Refused, Intent: payment.IntentFailed, Code: "unreadable_code"}},
		{"rejected", 400, `{"error":{"type":"invalid_request_error","code":"amount_too_small"}}`, gateway.ErrRejected,
			payment.Result{Outcome: payment.Invalid, Code: "amount_too_small"}},
		{"taken before", 400, `{"error":{"type":"invalid_request_error","code":"payment_intent_unexpected_state",
			"payment_intent":{"id":"pi_1","status":"succeeded"}}}`, gateway.ErrRejected,
			payment.Result{Outcome: payment.Invalid, Intent: payment.IntentSucceeded, Code: "payment_intent_unexpected_state"}},
		{"missing", 404, `{"error":{"type":"invalid_request_error","code":"resource_missing"}}`, gateway.ErrRejected,
			payment.Result{Outcome: payment.Invalid, Code: "resource_missing"}},
		{"key used otherwise", 400, `{"error":{"type":"idempotency_error"}}`, gateway.ErrRejected,
			payment.Result{Outcome: payment.Unknown, KeySpent: true}},
		{"key in use", 409, `{"error":{"type":"idempotency_error","code":"idempotency_key_in_use"}}`, gateway.ErrNotYet,
			payment.Result{Outcome: payment.NotYet, Code: "idempotency_key_in_use"}},
		{"too many", 429, `{"error":{"type":"invalid_request_error","code":"rate_limit"}}`, gateway.ErrNotYet,
			payment.Result{Outcome: payment.NotYet, Code: "rate_limit"}},
		{"wrong api key", 401, `{"error":{"type":"invalid_request_error"}}`, gateway.ErrUnauthorized,
			payment.Result{Outcome: payment.NotYet}},
		{"server error", 500, `{"error":{"type":"api_error"}}`, gateway.ErrUnknown, payment.Result{Outcome: payment.Unknown}},
		{"unavailable", 503, `{"error":{"type":"api_error"}}`, gateway.ErrUnknown, payment.Result{Outcome: payment.Unknown}},
		{"a proxy's page", 400, `<html>`, gateway.ErrUnknown, payment.Result{Outcome: payment.Unknown}},
		{"half an answer", 200, `{"id":"pi_1",`, gateway.ErrUnknown, payment.Result{Outcome: payment.Unknown}},
		{"an empty answer", 200, `{}`, gateway.ErrUnknown, payment.Result{Outcome: payment.Unknown}},
		{"processing", 200, `{"id":"pi_1","status":"processing"}`, gateway.ErrUnknown, payment.Result{Outcome: payment.Unknown}},
		{"asks for the customer", 200, `{"id":"pi_1","status":"requires_action"}`, gateway.ErrDeclined,
			payment.Result{Outcome: payment.Refused, Intent: payment.IntentFailed, Code: "authentication_required"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}))
			t.Cleanup(server.Close)
			g := connect(t, server.URL)
			_, err := g.Confirm(t.Context(), "k", "pi_1")
			var e *gateway.Error
			if !errors.Is(err, c.class) || !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
			if text := err.Error(); strings.Contains(text, "4242") || strings.Contains(text, "Ada") {
				t.Errorf("the provider's text is in the error: %s", text)
			}
			got := g.Do(t.Context(), payment.Call{Operation: payment.Confirm, Key: "k", Payment: payment.Payment{IntentID: "pi_1"}})
			if diff := cmp.Diff(c.result, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNoAnswerIsUnknown(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	g := connect(t, "http://"+silent.Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := g.Retrieve(ctx, "pi_1"); !errors.Is(err, gateway.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a timeout: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if _, err := g.Retrieve(ctx, "pi_1"); !errors.Is(err, gateway.ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that gave up: %v", err)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := connect(t, "http://"+closed.Addr().String()).Retrieve(t.Context(), "pi_1"); !errors.Is(err, gateway.ErrUnknown) {
		t.Errorf("nobody there: %v", err)
	}
}

// run drives one payment with the domain's own rules until nothing is left.
func run(t *testing.T, g *gateway.Gateway, p payment.Payment) payment.Payment {
	t.Helper()
	for range 20 {
		now := time.Now()
		call := payment.Next(p, now)
		if call.Operation == payment.None {
			return p
		}
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		p = payment.Apply(p, call.Operation, g.Do(ctx, call), now)
		cancel()
	}
	t.Fatalf("the payment does not end: %+v", p)
	return p
}

func pending(order string) payment.Payment {
	return payment.Payment{
		OrderID: order, Status: payment.Pending, Version: 1, Amount: money.Money{Currency: "GBP", Minor: 1999},
		KeyNumber: 1, KeyBorn: time.Now(),
	}
}

// Whatever the provider does, a payment ends as the provider's intent did.
func TestPaymentsEndAsTheProviderSays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		faults string
		want   payment.Status
	}{
		"works":                    {`{}`, payment.Charged},
		"declines":                 {`{"decline_rate":1}`, payment.Declined},
		"charges, then errors":     {`{"charge_error_rate":1}`, payment.Charged},
		"charges, then times out":  {`{"charge_timeout_rate":1}`, payment.Charged},
		"errors on half the calls": {`{"error_rate":0.5,"operations":["create","confirm"]}`, payment.Charged},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := connect(t, startProvider(t, c.faults))
			for i := range 3 {
				p := run(t, g, pending(fmt.Sprintf("0190a1b2-0000-7000-8000-%012d", i)))
				if p.Status != c.want || p.IntentID == "" {
					t.Fatalf("%+v", p)
				}
				in, err := g.Retrieve(t.Context(), p.IntentID)
				if err != nil || in.OrderID != p.OrderID || (in.Status == gateway.StatusSucceeded) != (c.want == payment.Charged) {
					t.Errorf("%+v, %v", in, err)
				}
			}
		})
	}
}

func TestVoids(t *testing.T) {
	t.Parallel()
	g := connect(t, startProvider(t, "{}"))
	uncharged := pending("0190a1b2-0000-7000-8000-000000000001")
	uncharged.Status = payment.Voiding
	if p := run(t, g, uncharged); p.Status != payment.Voided {
		t.Errorf("%+v", p)
	}
	charged := run(t, g, pending("0190a1b2-0000-7000-8000-000000000002"))
	for range 2 { // the second finds that all has been given back, under another key
		charged.Status, charged.KeyNumber = payment.Voiding, charged.KeyNumber+1
		if p := run(t, g, charged); p.Status != payment.Refunded {
			t.Errorf("%+v", p)
		}
	}
	// A void that does not know of the charge yet learns of it.
	unaware := charged
	unaware.Status, unaware.Captured, unaware.KeyNumber = payment.Voiding, false, 9
	if p := run(t, g, unaware); p.Status != payment.Refunded {
		t.Errorf("%+v", p)
	}
	var refunds int64
	for r, err := range g.ListRefunds(t.Context(), time.Time{}, time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		refunds += r.Amount
	}
	if refunds != 1999 {
		t.Errorf("%d was given back", refunds)
	}
	if in, err := g.Cancel(t.Context(), "k1", unaware.IntentID); !errors.Is(err, gateway.ErrRejected) {
		t.Errorf("cancel after a charge: %+v, %v", in, err)
	}
}

func TestCancelTwiceIsASuccess(t *testing.T) {
	t.Parallel()
	g := connect(t, startProvider(t, "{}"))
	in, err := g.Create(t.Context(), "k", "o", 500, "GBP")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"c1", "c2"} {
		if got, err := g.Cancel(t.Context(), key, in.ID); err != nil || got.Status != gateway.StatusCanceled {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

func TestListPagesThroughAll(t *testing.T) {
	t.Parallel()
	g := connect(t, startProvider(t, "{}"))
	const n = 130 // more than a page
	for i := range n {
		if _, err := g.Create(t.Context(), fmt.Sprint("k", i), fmt.Sprint("o", i), 500, "EUR"); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for in, err := range g.List(t.Context(), time.Now().Add(-time.Minute), time.Now().Add(time.Minute)) {
		if err != nil {
			t.Fatal(err)
		}
		seen[in.OrderID] = true
	}
	if len(seen) != n {
		t.Errorf("%d of %d", len(seen), n)
	}
}
