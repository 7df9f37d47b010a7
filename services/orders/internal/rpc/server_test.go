package rpc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"example.com/ballast/gen/orders/v1/ordersv1connect"
	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/money"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/services/orders/internal/events"
	"example.com/ballast/services/orders/internal/order"
	"example.com/ballast/services/orders/internal/rpc"
)

// shop is orders in memory, behind the real edge.
type shop struct {
	url      string
	keys     edge.KeyPair
	placed   []order.Placement
	told     []order.Told
	filters  []order.Filter
	order    order.View
	events   []order.Recorded
	watchers *events.Watchers
	reading  func() // happens while the history is read
	fail     error
}

func setup(t *testing.T) *shop {
	t.Helper()
	keys, err := edge.NewKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{keys: keys}
	s.order = order.View{State: order.State{
		ID: ids.New(), Customer: "17850", Status: order.Placed, Version: 1, Total: money.Money{Currency: "GBP", Minor: 1530},
		Lines: []order.Line{{SKU: "85123A", Quantity: 6, Price: money.Money{Currency: "GBP", Minor: 255}}}, Country: "GB",
	}}
	s.events = []order.Recorded{{Order: s.order.ID, Version: 1, Event: order.WasPlaced{ID: s.order.ID, Lines: s.order.Lines, Total: s.order.Total}}}
	s.reading = func() {}
	s.watchers = events.NewWatchers(func() int { return 1 })
	server, err := edge.NewServer(edge.Config{Logger: slog.New(slog.DiscardHandler), Verifier: edge.NewVerifier(keys.Public)})
	if err != nil {
		t.Fatal(err)
	}
	get := func(_ context.Context, id ids.ID) (order.View, error) {
		if id != s.order.ID {
			return order.View{}, order.ErrNotFound
		}
		return s.order, nil
	}
	ordersv1connect.RegisterOrderServiceHandler(server.RPC, rpc.New(rpc.Orders{
		Place: func(_ context.Context, p order.Placement) (order.State, error) {
			s.placed = append(s.placed, p)
			return s.order.State, s.fail
		},
		Get: get,
		Read: func(ctx context.Context, id ids.ID) (order.View, error) {
			view, err := get(ctx, id)
			view.Detail = "as it was read by somebody else"
			return view, err
		},
		List: func(_ context.Context, f order.Filter, _ ids.ID, _ int) ([]order.View, error) {
			s.filters = append(s.filters, f)
			return []order.View{s.order}, s.fail
		},
		History: func(context.Context, ids.ID) ([]order.Recorded, error) {
			defer s.reading()
			return s.events, nil
		},
		Tell: func(_ context.Context, told []order.Told) ([]order.Verdict, error) {
			s.told = append(s.told, told...)
			return []order.Verdict{{State: s.order.State, Err: s.fail}}, nil
		},
		Subscribe: func(ctx context.Context, id ids.ID) (rpc.Updates, error) {
			w, err := s.watchers.Subscribe(ctx, id)
			if err != nil {
				return nil, err
			}
			return w, nil
		},
	}))
	handler, err := server.Handler()
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(handler)
	t.Cleanup(web.Close)
	s.url = web.URL
	return s
}

func (s *shop) token(t *testing.T, who edge.Identity, age time.Duration) string {
	t.Helper()
	token, err := edge.Sign(s.keys.Private, who, time.Now().Add(-age), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// call posts JSON and returns the HTTP status and the body.
func (s *shop) call(t *testing.T, method, token, key, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/orders.v1.OrderService/"+method, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range map[string]string{"Authorization": token, "Idempotency-Key": key} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(answer)
}

const good = `{"lines":[{"sku":"85123A","quantity":6}],"shipTo":{"country":"GB"}}`

// hashOfK1 is what is kept of the key "k1" of customer 17850.
const hashOfK1 = "m-hHOslR4ce3thtwQM7RgYe2Yp7x-ufpjP6MQcN2QOs"

func TestPlaceOrderAnswersAsPublished(t *testing.T) {
	t.Parallel()
	s := setup(t)
	status, body := s.call(t, "PlaceOrder", "Bearer "+s.token(t, edge.Identity{Customer: "17850"}, 0), "k1", good)
	var got struct {
		Order struct {
			OrderID string `json:"orderId"`
			Status  string
			Total   struct{ Currency, MinorUnits string }
		}
	}
	if err := json.NewDecoder(bytes.NewBufferString(body)).Decode(&got); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s: %v", status, body, err)
	}
	o := got.Order
	if o.OrderID != s.order.ID.String() || o.Status != "ORDER_STATUS_PLACED" || o.Total.Currency != "GBP" || o.Total.MinorUnits != "1530" {
		t.Errorf("answer: %s", body)
	}
	if p := s.placed[0]; p.Customer != "17850" || p.Key != hashOfK1 || p.Country != "GB" {
		t.Errorf("placement: %+v", p)
	}
}

func TestBadInputNamesTheFieldAndWritesNothing(t *testing.T) {
	t.Parallel()
	s := setup(t)
	valid := "Bearer " + s.token(t, edge.Identity{Customer: "17850"}, 0)
	expired := "Bearer " + s.token(t, edge.Identity{Customer: "17850"}, 2*time.Hour)
	line := func(l string) string { return `{"lines":[` + l + `],"shipTo":{"country":"GB"}}` }
	for name, c := range map[string]struct {
		token, key, body string
		status           int
		words            []string // that the answer must contain
	}{
		"no token":              {"", "k", good, 401, []string{"unauthenticated"}},
		"expired token":         {expired, "k", good, 401, []string{"unauthenticated", "expired"}},
		"no key":                {valid, "", good, 400, []string{"Idempotency-Key", "required"}},
		"long key":              {valid, strings.Repeat("k", 256), good, 400, []string{"Idempotency-Key", "255"}},
		"broken JSON":           {valid, "k", `{"lines":[`, 400, []string{"invalid_argument"}},
		"unknown field":         {valid, "k", `{"linez":[]}`, 400, []string{"linez"}},
		"oversize":              {valid, "k", line(`{"sku":"` + strings.Repeat("A", 2<<20) + `","quantity":1}`), 400, []string{"REQUEST_TOO_LARGE"}},
		"no lines":              {valid, "k", line(""), 400, []string{"lines"}},
		"no destination":        {valid, "k", `{"lines":[{"sku":"A","quantity":1}]}`, 400, []string{"ship_to"}},
		"bad country":           {valid, "k", `{"lines":[{"sku":"A","quantity":1}],"shipTo":{"country":"gbr"}}`, 400, []string{"ship_to.country"}},
		"no sku":                {valid, "k", line(`{"quantity":1}`), 400, []string{"lines[0].sku"}},
		"NUL in sku":            {valid, "k", line(`{"sku":"A\u0000","quantity":1}`), 400, []string{"lines[0].sku"}},
		"zero quantity":         {valid, "k", line(`{"sku":"A","quantity":0}`), 400, []string{"lines[0].quantity"}},
		"negative quantity":     {valid, "k", line(`{"sku":"A","quantity":1},{"sku":"B","quantity":-3}`), 400, []string{"lines[1].quantity"}},
		"absurd quantity":       {valid, "k", line(`{"sku":"A","quantity":2000000000}`), 400, []string{"lines[0].quantity"}},
		"absurd sum":            {valid, "k", line(`{"sku":"A","quantity":100000},{"sku":"A","quantity":1}`), 400, []string{"lines[1].quantity", "QUANTITY_TOO_LARGE"}},
		"quantity not a number": {valid, "k", line(`{"sku":"A","quantity":"many"}`), 400, []string{"quantity"}},
	} {
		status, body := s.call(t, "PlaceOrder", c.token, c.key, c.body)
		if status != c.status {
			t.Errorf("%s: status %d, want %d: %.300s", name, status, c.status, body)
		}
		for _, word := range c.words {
			if !strings.Contains(body, word) {
				t.Errorf("%s: answer lacks %q: %.300s", name, word, body)
			}
		}
	}
	if len(s.placed) > 0 {
		t.Errorf("%d bad requests were placed", len(s.placed))
	}
}

func TestRefusalsHaveTheirCodes(t *testing.T) {
	t.Parallel()
	s := setup(t)
	valid := "Bearer " + s.token(t, edge.Identity{Customer: "17850"}, 0)
	for _, c := range []struct {
		fail   error
		status int
		word   string
	}{
		{&order.Refusal{Field: "lines[0].sku", Reason: "UNKNOWN_SKU", Detail: "no such product"}, 400, "UNKNOWN_SKU"},
		{&order.PriceChanged{Expected: money.Money{Currency: "GBP", Minor: 1}, Actual: s.order.Total}, 400, "PRICE_CHANGED"},
		{order.ErrKeyReused, 400, "IDEMPOTENCY_KEY_REUSED"},
		{fmt.Errorf("place: %w", pg.ErrConflict), 409, "CONFLICT"},
		{context.DeadlineExceeded, 503, "STORE_UNAVAILABLE"},
		{fmt.Errorf("a secret"), 500, "internal"},
	} {
		s.fail = c.fail
		status, body := s.call(t, "PlaceOrder", valid, "k", good)
		if status != c.status || !strings.Contains(body, c.word) || strings.Contains(body, "secret") {
			t.Errorf("%v: %d %s", c.fail, status, body)
		}
	}
}

func TestAnotherCustomersOrderDoesNotExist(t *testing.T) {
	t.Parallel()
	s := setup(t)
	body := `{"orderId":"` + s.order.ID.String() + `"}`
	withReason := `{"orderId":"` + s.order.ID.String() + `","reason":"why"}`
	for _, c := range []struct {
		who    edge.Identity
		status int
	}{
		{edge.Identity{Customer: "17850"}, 200},
		{edge.Identity{Customer: "somebody else"}, 404},
		{edge.Identity{Customer: "ops", Operator: true}, 200},
	} {
		for method, body := range map[string]string{"GetOrder": body, "GetOrderHistory": body, "CancelOrder": withReason} {
			if status, answer := s.call(t, method, "Bearer "+s.token(t, c.who, 0), "", body); status != c.status {
				t.Errorf("%s as %+v: %d %s", method, c.who, status, answer)
			}
		}
	}
}
