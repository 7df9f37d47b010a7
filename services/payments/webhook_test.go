package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stripe/stripe-go/v85"
	stripehook "github.com/stripe/stripe-go/v85/webhook"

	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/testkit"
	"example.com/ballast/services/payments/internal/payment"
)

const webhookSecret = "whsec_test"

// wire carries webhooks from the provider to the service, which is there later,
// and counts the answers.
type wire struct {
	server  *httptest.Server
	to      atomic.Pointer[string]
	mu      sync.Mutex
	answers map[int]int
}

func newWire(t *testing.T) *wire {
	w := &wire{answers: map[int]int{}}
	w.server = httptest.NewServer(w)
	t.Cleanup(w.server.Close)
	return w
}

func (c *wire) answered(status int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answers[status]
}

func (c *wire) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status := http.StatusBadGateway
	if to := c.to.Load(); to != nil {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			status, err = post(r.Context(), *to, body, r.Header.Get("Stripe-Signature"))
		}
		if err != nil {
			status = http.StatusBadGateway
		}
	}
	c.mu.Lock()
	c.answers[status]++
	c.mu.Unlock()
	w.WriteHeader(status)
}

// webhookClient keeps a connection for each of many senders.
var webhookClient = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 512}}

func post(ctx context.Context, service string, body []byte, signature string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, service+"/webhooks/provider", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Stripe-Signature", signature)
	res, err := webhookClient.Do(req)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}

// A process dies with a payment in its hands; its lease runs for another minute.
// The provider's event has another process look at it at once.
func TestWebhookShortensTheWait(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	p := newBank(1, 0)
	order, untold := ids.New().String(), ids.New().String()
	if _, err := b.store.Record(t.Context(), []payment.Command{{OrderID: order, Amount: amount}, {OrderID: untold, Amount: amount}}, time.Minute); err != nil {
		t.Fatal(err)
	}
	b.start(b.store, p)
	if _, err := b.store.Notice(t.Context(), []payment.Notice{{ID: "evt_1", Sent: time.Now(), OrderID: order}}, 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the payment is settled", func() bool { return b.get(order).Status == payment.Charged })
	b.agrees(order, p)
	if got := b.get(untold); got.Status != payment.Pending {
		t.Errorf("the payment that nobody told of is %s: the lease did not hold", got.Status)
	}
}

// TestWebhookStorm sends 10,000 events from 400 senders: each is taken, and those
// that arrive together share a transaction.
func TestWebhookStorm(t *testing.T) {
	t.Parallel()
	// Not the broker of KAFKA_BROKERS: there it would share topics and group with
	// TestServiceAndProvider.
	p := startService(t, `{}`, testkit.Kfake(t))
	service := *p.webhooks.to.Load()
	ready := func() bool {
		status, err := post(t.Context(), service, nil, "")
		return err == nil && status == http.StatusBadRequest
	}
	testkit.Eventually(t, "the service takes webhooks", ready)
	var group sync.WaitGroup
	const senders = 400
	for s := range senders {
		group.Go(func() {
			for i := range 10_000 / senders {
				body, err := json.Marshal(map[string]any{
					"id": fmt.Sprintf("evt_%d_%d", s, i), "object": "event", "api_version": stripe.APIVersion,
					"created": time.Now().Unix(), "type": "payment_intent.succeeded",
					"data": map[string]any{"object": map[string]any{"id": "pi", "metadata": map[string]string{"order_id": ids.New().String()}}},
				})
				if err != nil {
					t.Error(err)
				}
				signed := stripehook.GenerateTestSignedPayload(&stripehook.UnsignedPayload{Payload: body, Secret: webhookSecret})
				if status, err := post(t.Context(), service, body, signed.Header); err != nil || status != http.StatusOK {
					t.Errorf("event %d of %d: %d, %v", i, s, status, err)
				}
			}
		})
	}
	began := time.Now()
	group.Wait()
	took := time.Since(began)
	db, err := pgx.Connect(t.Context(), p.database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(context.WithoutCancel(t.Context())) }()
	var events, transactions int
	if err := db.QueryRow(t.Context(), "select count(*), count(distinct xmin::text) from inbox").Scan(&events, &transactions); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d events in %v by %d transactions", events, took, transactions)
	if events != 10_000 || transactions > events/4 {
		t.Errorf("%d events are stored by %d transactions", events, transactions)
	}
}
