package gateway_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/ballast/services/payments/internal/gateway"
)

// The same calls through the same client against the simulator and against
// Stripe's own stub. The stub keeps no state, so only the shape is compared.
func TestContractCalls(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"provider": startProvider(t, "{}"), "stripe-mock": startStripeMock(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := connect(t, url)
			in, err := g.Create(t.Context(), "k1", "0190a1b2-0000-7000-8000-000000000001", 1999, "GBP")
			if err != nil || !strings.HasPrefix(in.ID, "pi_") || in.Amount != 1999 || in.Currency != "GBP" {
				t.Fatalf("create: %+v, %v", in, err)
			}
			if got, err := g.Retrieve(t.Context(), in.ID); err != nil || got.ID != in.ID {
				t.Errorf("retrieve: %+v, %v", got, err)
			}
			// The stub's fixture is not in the status that was asked for: that is
			// no success, and says so.
			var e *gateway.Error
			if got, err := g.Confirm(t.Context(), "k2", in.ID); err != nil && (!errors.As(err, &e) || e.HTTPStatus != 0) {
				t.Errorf("confirm: %+v, %v", got, err)
			}
			if r, err := g.Refund(t.Context(), "k3", in.ID, 500); err != nil || !strings.HasPrefix(r.ID, "re_") || r.IntentID != in.ID {
				t.Errorf("refund: %+v, %v", r, err)
			}
			other, err := g.Create(t.Context(), "k4", "o", 100, "EUR")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := g.Cancel(t.Context(), "k5", other.ID); err != nil {
				t.Errorf("cancel: %v", err)
			}
			from := time.Now().Add(-time.Hour)
			for in, err := range g.List(t.Context(), from, time.Time{}) {
				if err != nil || in.ID == "" {
					t.Errorf("list: %+v, %v", in, err)
				}
				break
			}
			for r, err := range g.ListRefunds(t.Context(), from, time.Time{}) {
				if err != nil || r.ID == "" {
					t.Errorf("list refunds: %+v, %v", r, err)
				}
				break
			}
		})
	}
}

// Every field that the simulator shows is one that Stripe shows, with a value
// of the same JSON type.
func TestContractShapes(t *testing.T) {
	t.Parallel()
	provider, mock := startProvider(t, "{}"), startStripeMock(t)
	create := url.Values{
		"amount": {"1999"}, "currency": {"gbp"}, "payment_method": {"pm_card_visa"}, "metadata[order_id]": {"o"},
	}
	id := call(t, provider, http.MethodPost, "/v1/payment_intents", create)["id"].(string)
	for _, c := range []struct {
		method, path string
		form         url.Values
	}{
		{http.MethodPost, "/v1/payment_intents", create},
		{http.MethodGet, "/v1/payment_intents/" + id, nil},
		{http.MethodPost, "/v1/payment_intents/" + id + "/confirm", nil},
		{http.MethodPost, "/v1/refunds", url.Values{"payment_intent": {id}}},
		{http.MethodGet, "/v1/payment_intents?limit=1", nil},
		{http.MethodGet, "/v1/refunds?limit=1", nil},
		{http.MethodPost, "/v1/payment_intents", url.Values{"currency": {"gbp"}}}, // an error
	} {
		ours, theirs := call(t, provider, c.method, c.path, c.form), call(t, mock, c.method, c.path, c.form)
		for _, d := range differ("", ours, theirs) {
			t.Errorf("%s %s: %s", c.method, c.path, d)
		}
	}
}

func call(t *testing.T, base, method, path string, form url.Values) map[string]any {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer sk_test_123")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var body map[string]any
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	return body
}

// optional are fields of Stripe's errors that the stub's answers leave out.
var optional = []string{".error.code", ".error.param"}

// differ lists the fields of ours that are missing in theirs or have another
// type. Null is allowed on either side.
func differ(path string, ours, theirs any) (out []string) {
	switch o := ours.(type) {
	case map[string]any:
		t, ok := theirs.(map[string]any)
		if theirs == nil || strings.HasSuffix(path, "metadata") {
			return nil
		}
		if !ok {
			return []string{fmt.Sprintf("%s is an object here and %T there", path, theirs)}
		}
		for name, v := range o {
			their, found := t[name]
			if !found && !slices.Contains(optional, path+"."+name) {
				out = append(out, path+"."+name+" does not exist there")
				continue
			}
			out = append(out, differ(path+"."+name, v, their)...)
		}
	case []any:
		t, ok := theirs.([]any)
		if !ok {
			return []string{path + " is a list here only"}
		}
		for i := range min(len(o), len(t)) {
			out = append(out, differ(path+"[]", o[i], t[i])...)
		}
	case nil:
	default:
		if theirs != nil && fmt.Sprintf("%T", ours) != fmt.Sprintf("%T", theirs) {
			out = append(out, fmt.Sprintf("%s is %T here and %T there", path, ours, theirs))
		}
	}
	return out
}
