package e2e_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/kafka"
)

// What a careless or a malicious customer writes wherever there is room. None of
// it is anybody's.
const (
	canaryCard = "4242424242424242"
	canaryMail = "ada.canary@example.org"
	canaryName = "Augusta Canary"
	canary     = canaryName + " " + canaryMail + " " + canaryCard
)

// TestNothingOfACustomerGetsOut writes canaries into every field, header and
// token that a customer fills, on paths that succeed, fail, decline and panic,
// and then looks for them in all logs, spans, metrics and topics.
//
// They may be in two places, which it does not search: the table
// order_recipients, which can be erased, and the cache of orders, which forgets
// within twelve minutes.
func TestNothingOfACustomerGetsOut(t *testing.T) {
	t.Parallel()
	traces := filepath.Join(t.TempDir(), "traces.jsonl")
	p := start(t, "TRACES_FILE="+traces, "OTEL_TRACES_SAMPLER=always_on", "LOG_LEVEL=debug")
	p.stock(t.Context(), 50, "CANARY")
	const good = `{"lines":[{"sku":"CANARY","quantity":1}],"shipTo":{"country":"GB","name":"` + canaryName + `","lines":["` + canaryMail + `"],"city":"` + canaryCard + `","postalCode":"` + canaryCard + `"}}`
	orders := func(key, body string) (status int) {
		return p.post(p.endpoint("orders")+"/orders.v1.OrderService/PlaceOrder", key, body)
	}

	if status := orders(canary, good); status != http.StatusOK {
		t.Errorf("the good order is answered %d", status)
	}
	for _, bad := range []string{
		`{"lines":[{"sku":"` + canary + `","quantity":1}],"shipTo":{"country":"GB"}}`,
		`{"lines":[{"sku":"CANARY","quantity":"` + canary + `"}],"shipTo":{"country":"GB"}}`,
		`{"lines":[{"sku":"CANARY","quantity":` + canaryCard + `}],"shipTo":{"country":"GB"}}`,
		`{"lines":[{"sku":"CANARY","quantity":1}],"shipTo":{"country":"` + canary + `"}}`,
		`{"lines":[{"sku":"CANARY","quantity":1}],"shipTo":{"country":"GB","name":"` + canary + `\u0000"}}`,
		`{"` + canary + `": 1}`, `{"` + canary, canary,
	} {
		if status := orders("key of "+canaryMail, bad); status != http.StatusBadRequest {
			t.Errorf("%s is answered %d", bad, status)
		}
	}
	p.post(p.endpoint("orders")+"/orders.v1.OrderService/GetOrder", "", `{"orderId":"`+canary+`"}`)
	p.post(p.endpoint("orders")+"/orders.v1.OrderService/ListOrders?who="+canaryMail, "", `{"pageToken":"`+canaryCard+`"}`)
	p.post(p.endpoint("orders")+"/"+canaryCard, "", canary)
	p.post(p.endpoint("payments")+"/webhooks/provider", "", `{"id":"`+canaryCard+`","data":"`+canary+`"}`)

	p.faults(map[string]any{"decline_rate": 1})
	orders("declined, "+canary, good)
	p.faults(map[string]any{})
	p.panics(true)
	orders("panics, "+canary, good)
	p.eventually("the handler has panicked", func() bool { return strings.Contains(p.metrics("payments"), `reason="fault"`) })
	p.panics(false)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 5 {
			orders(fmt.Sprint("no database, ", i, canary), good)
		}
	})
	p.kill("postgres")
	wg.Wait()
	p.reconcile(t.Context(), nil)

	seen := 0
	search := func(where, text string) {
		seen += len(text)
		for _, c := range []string{canaryCard, canaryMail, "Augusta", "ada.canary"} {
			if i := strings.Index(text, c); i >= 0 {
				t.Errorf("%s is in %s: %.300s", c, where, text[max(0, i-150):])
			}
		}
	}
	logs, err := filepath.Glob(p.home.Path("logs", "*"))
	if err != nil || len(logs) < 5 {
		t.Fatalf("logs: %v, %v", logs, err)
	}
	p.topics(search)
	for _, service := range []string{"orders", "payments", "inventory", "provider"} {
		search("metrics of "+service, p.metrics(service))
	}
	if out, err := p.run("down"); err != nil { // Spans are flushed at the end.
		t.Fatalf("%v: %s", err, out)
	}
	for _, file := range append(logs, traces) {
		text, err := os.ReadFile(file)
		if err != nil || len(text) == 0 && file == traces {
			t.Fatalf("%s: %d bytes, %v", file, len(text), err)
		}
		search(file, string(text))
	}
	t.Logf("%d bytes were searched", seen)
}

// post sends a request with canaries in all headers, as a customer whose token
// is good and once more with one that is not.
func (p *platform) post(url, key, body string) (status int) {
	p.t.Helper()
	signer, err := p.home.Signer()
	if err != nil {
		p.t.Error(err)
		return 0
	}
	good, err := signer.Token("canary-customer", false)
	if err != nil {
		p.t.Error(err)
		return 0
	}
	_, stranger, err := ed25519.GenerateKey(nil)
	if err != nil {
		p.t.Error(err)
		return 0
	}
	bad, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{"sub": canary, "email": canaryMail, "name": canaryName, "exp": canaryCard}).SignedString(stranger)
	if err != nil {
		p.t.Error(err)
		return 0
	}
	for _, token := range []string{canary, bad, good} {
		ctx, cancel := context.WithTimeout(p.t.Context(), 15*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
		if err != nil {
			p.t.Error(err)
			return 0
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", key)
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Traceparent", fmt.Sprintf("00-%032x-%016x-01", time.Now().UnixNano(), 1))
		req.Header.Set("Tracestate", "who="+canaryMail)
		req.Header.Set("Baggage", "card="+canaryCard)
		for _, name := range []string{"User-Agent", "X-Correlation-Id", "X-Request-Priority", "Stripe-Signature", "Referer", "Cookie", "X-Forwarded-For"} {
			req.Header.Set(name, canary)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			p.t.Error(err)
			return 0
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		status = res.StatusCode
	}
	return status
}

// endpoint is the URL of a service's public listener.
func (p *platform) endpoint(service string) string {
	p.t.Helper()
	state, err := p.home.Running()
	if err != nil {
		p.t.Fatal(err)
	}
	return state.Endpoints.Replicas[service][0]
}

// topics searches keys, values and headers of all records there are.
func (p *platform) topics(search func(where, text string)) {
	p.t.Helper()
	state, err := p.home.Running()
	if err != nil {
		p.t.Fatal(err)
	}
	client, err := kgo.NewClient(append(kafka.Options(state.Endpoints.Kafka, "test"),
		kgo.ConsumeRegex(), kgo.ConsumeTopics(".*"), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		p.t.Fatal(err)
	}
	defer client.Close()
	topics := map[string]bool{}
	for quiet := false; !quiet; {
		ctx, cancel := context.WithTimeout(p.t.Context(), 2*time.Second)
		fetches := client.PollFetches(ctx)
		cancel()
		quiet = fetches.NumRecords() == 0
		fetches.EachRecord(func(r *kgo.Record) {
			topics[r.Topic] = true
			text := bytes.Join([][]byte{r.Key, r.Value}, []byte("\n"))
			for _, h := range r.Headers {
				text = append(append(append(text, '\n'), h.Key...), h.Value...)
			}
			search("topic "+r.Topic, string(text))
		})
	}
	for _, want := range []string{"orders.events", "payments.commands", "payments.events", kafka.RetryTopic("payments.commands", "payments")} {
		if !topics[want] {
			p.t.Errorf("no record of %s was searched, only of %v", want, topics)
		}
	}
}
