package api_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v85"

	"example.com/ballast/services/provider/internal/api"
	"example.com/ballast/services/provider/internal/bank"
	"example.com/ballast/services/provider/internal/faults"
)

type bundle struct {
	*stripe.Client
	url    string
	bank   *bank.Bank
	faults *faults.Faults
}

// setup serves a new book to the real client.
func setup(t *testing.T, f faults.Settings) bundle {
	t.Helper()
	b, _, err := bank.Open(bank.Config{
		BookFile: filepath.Join(t.TempDir(), "book"), KeyTTL: time.Hour, MaxIntents: 10_000, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	fs := faults.New(1, f)
	server := httptest.NewServer(api.New(b, fs, "sk_test_right", nil, slog.New(slog.DiscardHandler)))
	t.Cleanup(func() {
		server.Close()
		if err := b.Book().Close(); err != nil {
			t.Error(err)
		}
	})
	return bundle{Client: client(server.URL, "sk_test_right"), url: server.URL, bank: b, faults: fs}
}

func client(url, key string) *stripe.Client {
	return stripe.NewClient(key, stripe.WithBackends(stripe.NewBackendsWithConfig(&stripe.BackendConfig{
		URL: &url, HTTPClient: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
		MaxNetworkRetries: stripe.Int64(0), EnableTelemetry: stripe.Bool(false),
		LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull},
	})))
}

func (b bundle) create(t *testing.T, key string, amount int64, method string) (*stripe.PaymentIntent, error) {
	t.Helper()
	p := &stripe.PaymentIntentCreateParams{
		Amount: stripe.Int64(amount), Currency: stripe.String("gbp"), Metadata: map[string]string{"order_id": "o-" + key},
	}
	if method != "" {
		p.PaymentMethod = stripe.String(method)
	}
	p.SetIdempotencyKey(key)
	return b.V1PaymentIntents.Create(t.Context(), p)
}

func (b bundle) mustCreate(t *testing.T, key string, amount int64, method string) *stripe.PaymentIntent {
	t.Helper()
	pi, err := b.create(t, key, amount, method)
	if err != nil {
		t.Fatal(err)
	}
	return pi
}

func (b bundle) confirm(ctx context.Context, key, id string) (*stripe.PaymentIntent, error) {
	p := &stripe.PaymentIntentConfirmParams{}
	p.SetIdempotencyKey(key)
	return b.V1PaymentIntents.Confirm(ctx, id, p)
}

func (b bundle) cancel(t *testing.T, key, id string) (*stripe.PaymentIntent, error) {
	t.Helper()
	p := &stripe.PaymentIntentCancelParams{}
	p.SetIdempotencyKey(key)
	return b.V1PaymentIntents.Cancel(t.Context(), id, p)
}

func (b bundle) refund(t *testing.T, key, id string, amount int64) (*stripe.Refund, error) {
	t.Helper()
	p := &stripe.RefundCreateParams{PaymentIntent: stripe.String(id), Reason: stripe.String("duplicate")}
	if amount > 0 {
		p.Amount = stripe.Int64(amount)
	}
	p.SetIdempotencyKey(key)
	return b.V1Refunds.Create(t.Context(), p)
}

func (b bundle) status(t *testing.T, id string) string {
	t.Helper()
	pi, err := b.V1PaymentIntents.Retrieve(t.Context(), id, nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(pi.Status)
}

// want checks an error of the client against status, type and code.
func want(t *testing.T, err error, status int, typ stripe.ErrorType, code string) *stripe.Error {
	t.Helper()
	var se *stripe.Error
	if !errors.As(err, &se) {
		t.Fatalf("got %v, want a Stripe error", err)
	}
	if diff := cmp.Diff([]any{status, typ, code}, []any{se.HTTPStatusCode, se.Type, string(se.Code)}); diff != "" {
		t.Fatalf("%s: %s", se.Msg, diff)
	}
	if se.RequestID == "" {
		t.Error("no Request-Id")
	}
	return se
}

func replayed(r *stripe.APIResponse) bool { return r.Header.Get("Idempotent-Replayed") == "true" }

func TestLifeOfAnIntent(t *testing.T) {
	t.Parallel()
	b := setup(t, faults.Settings{})
	pi := b.mustCreate(t, "a", 1999, "pm_card_visa")
	if pi.Status != "requires_confirmation" || pi.AmountReceived != 0 || pi.Metadata["order_id"] != "o-a" || pi.PaymentMethod.ID != "pm_card_visa" {
		t.Fatalf("created %+v", pi)
	}
	got, err := b.confirm(t.Context(), "a:confirm", pi.ID)
	if err != nil || got.Status != "succeeded" || got.AmountReceived != 1999 || got.LatestCharge == nil {
		t.Fatalf("confirmed %+v, %v", got, err)
	}
	if s := b.status(t, pi.ID); s != "succeeded" {
		t.Errorf("read back as %s", s)
	}
	_, err = b.confirm(t.Context(), "another", pi.ID)
	want(t, err, 400, stripe.ErrorTypeInvalidRequest, "payment_intent_unexpected_state")
	_, err = b.cancel(t, "a:cancel", pi.ID)
	se := want(t, err, 400, stripe.ErrorTypeInvalidRequest, "payment_intent_unexpected_state")
	if se.PaymentIntent == nil || se.PaymentIntent.Status != "succeeded" {
		t.Errorf("the error must show the intent: %+v", se.PaymentIntent)
	}
	// The answer of the first create is kept as it was.
	again := b.mustCreate(t, "a", 1999, "pm_card_visa")
	if !replayed(again.LastResponse) || again.Status != "requires_confirmation" || again.ID != pi.ID {
		t.Errorf("replayed %+v", again)
	}
}

func TestCancelEndsAnIntent(t *testing.T) {
	t.Parallel()
	b := setup(t, faults.Settings{})
	pi := b.mustCreate(t, "a", 500, "pm_card_visa")
	got, err := b.cancel(t, "c", pi.ID)
	if err != nil || got.Status != "canceled" {
		t.Fatalf("%+v, %v", got, err)
	}
	_, err = b.confirm(t.Context(), "k", pi.ID)
	want(t, err, 400, stripe.ErrorTypeInvalidRequest, "payment_intent_unexpected_state")
	_, err = b.cancel(t, "c2", pi.ID)
	want(t, err, 400, stripe.ErrorTypeInvalidRequest, "payment_intent_unexpected_state")
	_, err = b.refund(t, "r", pi.ID, 0)
	want(t, err, 400, stripe.ErrorTypeInvalidRequest, "payment_intent_unexpected_state")
}

func TestDeclines(t *testing.T) {
	t.Parallel()
	b := setup(t, faults.Settings{})
	pi := b.mustCreate(t, "a", 500, "pm_card_visa_chargeDeclinedInsufficientFunds")
	for range 2 { // the second is replayed
		_, err := b.confirm(t.Context(), "k", pi.ID)
		se := want(t, err, 402, stripe.ErrorTypeCard, "card_declined")
		if se.DeclineCode != "insufficient_funds" || se.PaymentIntent.Status != "requires_payment_method" {
			t.Fatalf("%+v", se)
		}
	}
	p := &stripe.PaymentIntentConfirmParams{PaymentMethod: stripe.String("pm_card_mastercard")}
	p.SetIdempotencyKey("k2")
	if got, err := b.V1PaymentIntents.Confirm(t.Context(), pi.ID, p); err != nil || got.Status != "succeeded" {
		t.Fatalf("another card: %+v, %v", got, err)
	}
	_, err := b.confirm(t.Context(), "k", pi.ID)
	if se := want(t, err, 402, stripe.ErrorTypeCard, "card_declined"); !replayed(se.LastResponse) ||
		se.PaymentIntent.Status != "requires_payment_method" {
		t.Errorf("the first answer under the key has changed: %+v", se.PaymentIntent)
	}
	without := b.mustCreate(t, "b", 500, "")
	_, err = b.confirm(t.Context(), "k3", without.ID)
	want(t, err, 400, stripe.ErrorTypeInvalidRequest, "payment_intent_unexpected_state")
}

func TestRefundsNeverExceedTheCapture(t *testing.T) {
	t.Parallel()
	b := setup(t, faults.Settings{})
	pi := b.mustCreate(t, "a", 1000, "pm_card_visa")
	if _, err := b.confirm(t.Context(), "k", pi.ID); err != nil {
		t.Fatal(err)
	}
	first, err := b.refund(t, "r1", pi.ID, 600)
	if err != nil || first.Amount != 600 || first.Status != "succeeded" || first.PaymentIntent.ID != pi.ID || first.Reason != "duplicate" {
		t.Fatalf("%+v, %v", first, err)
	}
	again, err := b.refund(t, "r1", pi.ID, 600)
	if err != nil || again.ID != first.ID || !replayed(again.LastResponse) {
		t.Fatalf("%+v, %v", again, err)
	}
	_, err = b.refund(t, "r2", pi.ID, 401)
	want(t, err, 400, stripe.ErrorTypeInvalidRequest, "")
	if rest, err := b.refund(t, "r3", pi.ID, 0); err != nil || rest.Amount != 400 {
		t.Fatalf("%+v, %v", rest, err)
	}
	_, err = b.refund(t, "r4", pi.ID, 0)
	want(t, err, 400, stripe.ErrorTypeInvalidRequest, "charge_already_refunded")
	var amounts []int64
	for r, err := range b.V1Refunds.List(t.Context(), &stripe.RefundListParams{PaymentIntent: &pi.ID}).All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		amounts = append(amounts, r.Amount)
	}
	if diff := cmp.Diff([]int64{400, 600}, amounts); diff != "" {
		t.Error(diff)
	}
}

func TestIdempotencyKeys(t *testing.T) {
	t.Parallel()
	b := setup(t, faults.Settings{})
	pi := b.mustCreate(t, "a", 500, "pm_card_visa")
	_, err := b.create(t, "a", 501, "pm_card_visa")
	want(t, err, 400, stripe.ErrorTypeIdempotency, "")
	_, err = b.cancel(t, "a", pi.ID)
	want(t, err, 400, stripe.ErrorTypeIdempotency, "")
	// Nothing is stored for parameters that were refused: the key stays free.
	_, err = b.create(t, "b", 29, "pm_card_visa")
	want(t, err, 400, stripe.ErrorTypeInvalidRequest, "amount_too_small")
	b.mustCreate(t, "b", 30, "pm_card_visa")
	// Nor for an intent that does not exist.
	_, err = b.confirm(t.Context(), "c", "pi_nowhere")
	want(t, err, 404, stripe.ErrorTypeInvalidRequest, "resource_missing")
	if _, err = b.confirm(t.Context(), "c", pi.ID); err != nil {
		t.Error(err)
	}
}

func TestRefusedParameters(t *testing.T) {
	t.Parallel()
	b := setup(t, faults.Settings{})
	for _, c := range []struct{ path, form, message, param string }{
		{"/v1/payment_intents", "currency=gbp", "Missing required param: amount.", "amount"},
		{"/v1/payment_intents", "amount=12.5&currency=gbp", "Invalid integer", "amount"},
		{"/v1/payment_intents", "amount=-5&currency=gbp", "Invalid integer", "amount"},
		{"/v1/payment_intents", "amount=49&currency=eur", "at least 50", "amount"},
		{"/v1/payment_intents", "amount=17499&currency=HUF", "at least 17500", "amount"},
		{"/v1/payment_intents", "amount=100000000&currency=eur", "no more than 99999999", "amount"},
		{"/v1/payment_intents", "amount=500&currency=xyz", "Invalid currency", "currency"},
		{"/v1/payment_intents", "amount=500&currency=gbp&confirm=true", "confirm by id", "confirm"},
		{"/v1/payment_intents", "amount=500&currency=gbp&color=red", "unknown parameter: color", "color"},
		{"/v1/payment_intents", "amount=500&currency=gbp&payment_method=pm_x", "No such PaymentMethod", "payment_method"},
		{"/v1/payment_intents", "amount=500&currency=gbp&metadata[" + strings.Repeat("n", 41) + "]=x", "Metadata names", ""},
		{"/v1/payment_intents", "amount=%zz", "not a form", ""},
		{"/v1/payment_intents", strings.Repeat("a", 200_000), "too large", ""},
		{"/v1/refunds", "amount=5", "payment_intent", "payment_intent"},
		{"/v1/refunds", "payment_intent=pi_1&amount=0", "positive", "amount"},
		{"/v1/refunds", "payment_intent=pi_1&reason=bored", "Invalid reason", "reason"},
		{"/v1/charges", "", "Unrecognized request URL (POST: /v1/charges)", ""},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+c.path, strings.NewReader(c.form))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer sk_test_right")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err = errors.Join(err, res.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if res.StatusCode < 400 || res.StatusCode > 404 || !strings.Contains(string(body), c.message) ||
			c.param != "" && !strings.Contains(string(body), `"param":"`+c.param+`"`) {
			t.Errorf("%.60s: %d %s", c.form, res.StatusCode, body)
		}
	}
	if intents, _ := b.bank.Counts(); intents != 0 {
		t.Errorf("%d intents were made", intents)
	}
	_, err := client(b.url, "sk_test_wrong").V1PaymentIntents.Retrieve(t.Context(), "pi_1", nil)
	want(t, err, 401, stripe.ErrorTypeInvalidRequest, "")
}

func TestListsPageThroughAll(t *testing.T) {
	t.Parallel()
	b := setup(t, faults.Settings{})
	var made []string
	for i := range 25 {
		made = append([]string{b.mustCreate(t, string(rune('a'+i)), 500, "pm_card_visa").ID}, made...)
	}
	list := func(p *stripe.PaymentIntentListParams) (ids []string) {
		p.Limit = stripe.Int64(7)
		for pi, err := range b.V1PaymentIntents.List(t.Context(), p).All(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, pi.ID)
		}
		return ids
	}
	if diff := cmp.Diff(made, list(&stripe.PaymentIntentListParams{})); diff != "" {
		t.Error(diff)
	}
	later := time.Now().Add(time.Hour).Unix()
	after := list(&stripe.PaymentIntentListParams{CreatedRange: &stripe.RangeQueryParams{GreaterThan: later}})
	upTo := list(&stripe.PaymentIntentListParams{CreatedRange: &stripe.RangeQueryParams{LesserThanOrEqual: later}})
	if len(after) != 0 || len(upTo) != 25 {
		t.Errorf("created: %d after, %d up to", len(after), len(upTo))
	}
	for _, query := range []string{"limit=0", "limit=101", "starting_after=pi_x", "created[gt]=soon", "ending_before=pi_x"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+"/v1/payment_intents?"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer sk_test_right")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := res.Body.Close(); err != nil || res.StatusCode/100 != 4 {
			t.Errorf("%s: status %d, %v", query, res.StatusCode, err)
		}
	}
}
