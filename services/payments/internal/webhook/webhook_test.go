package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v85"
	stripehook "github.com/stripe/stripe-go/v85/webhook"
	"go.opentelemetry.io/otel/metric/noop"

	"example.com/ballast/services/payments/internal/payment"
	"example.com/ballast/services/payments/internal/webhook"
)

const (
	secret = "whsec_right"
	order  = "0190a1b2-0000-7000-8000-000000000001"
)

// event is the provider's, with what a test changes.
func event(t *testing.T, change func(map[string]any)) []byte {
	t.Helper()
	e := map[string]any{
		"id": "evt_1", "object": "event", "api_version": stripe.APIVersion, "created": 1700000000,
		"type": "payment_intent.succeeded", "data": map[string]any{"object": map[string]any{
			"id": "pi_1", "object": "payment_intent", "metadata": map[string]any{"order_id": order},
		}},
	}
	if change != nil {
		change(e)
	}
	body, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func signed(body []byte, secret string, at time.Time) string {
	return stripehook.GenerateTestSignedPayload(&stripehook.UnsignedPayload{Payload: body, Secret: secret, Timestamp: at}).Header
}

func TestHandler(t *testing.T) {
	t.Parallel()
	want := payment.Notice{ID: "evt_1", Sent: time.Unix(1700000000, 0).UTC(), OrderID: order, IntentID: "pi_1"}
	good, now := event(t, nil), time.Now()
	object := func(o map[string]any) func(map[string]any) {
		return func(e map[string]any) { e["data"] = map[string]any{"object": o} }
	}
	refund := event(t, func(e map[string]any) {
		e["type"] = "charge.refunded"
		object(map[string]any{"id": "ch_1", "payment_intent": "pi_1", "metadata": map[string]any{"order_id": order}})(e)
	})
	other := event(t, func(e map[string]any) { e["type"] = "customer.created" })
	foreign := event(t, object(map[string]any{"id": "pi_1", "metadata": map[string]any{"order_id": "7"}}))
	release := event(t, func(e map[string]any) { e["api_version"] = "2024-01-01.acacia" })
	large := event(t, func(e map[string]any) { e["padding"] = strings.Repeat("x", 64<<10) })
	for _, c := range []struct {
		name      string
		body      []byte
		signature string
		fails     error
		status    int
		taken     bool
	}{
		{name: "signed", body: good, signature: signed(good, secret, now), status: 200, taken: true},
		{name: "a refund", body: refund, signature: signed(refund, secret, now), status: 200, taken: true},
		{name: "by somebody else", body: good, signature: signed(good, "whsec_wrong", now), status: 400},
		{name: "not at all", body: good, status: 400},
		{name: "another body under the signature", body: refund, signature: signed(good, secret, now), status: 400},
		{name: "recorded and sent again later", body: good, signature: signed(good, secret, now.Add(-time.Hour)), status: 400},
		{name: "of another release of the API", body: release, signature: signed(release, secret, now), status: 200, taken: true},
		{name: "of another release, by somebody else", body: release, signature: signed(release, "whsec_wrong", now), status: 400},
		{name: "too large", body: large, signature: signed(large, secret, now), status: 413},
		{name: "of another kind", body: other, signature: signed(other, secret, now), status: 200},
		{name: "of another system", body: foreign, signature: signed(foreign, secret, now), status: 200},
		{name: "not stored", body: good, signature: signed(good, secret, now), fails: errors.New("away"), status: 503, taken: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []payment.Notice
			h := webhook.New(webhook.Config{
				Secret: secret, Logger: slog.New(slog.DiscardHandler), Meter: noop.Meter{},
				Notice: func(_ context.Context, n payment.Notice) (payment.Noticed, error) {
					got = append(got, n)
					return payment.NoticedDue, c.fails
				},
			})
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhooks/provider", bytes.NewReader(c.body))
			r.Header.Set("Stripe-Signature", c.signature)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != c.status || (w.Code == 503) != (w.Header().Get("Retry-After") != "") {
				t.Errorf("answered %d with %v, want %d", w.Code, w.Header(), c.status)
			}
			var all []payment.Notice
			if c.taken {
				all = append(all, want)
			}
			if diff := cmp.Diff(all, got); diff != "" {
				t.Errorf("taken (-want +got):\n%s", diff)
			}
		})
	}
}
