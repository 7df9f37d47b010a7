package e2e_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"example.com/ballast/cmd/ballast/internal/api"
	"example.com/ballast/cmd/ballast/internal/reconcile"
	ordersv1 "example.com/ballast/gen/orders/v1"
)

// TestOperatorsEndOrders keeps the provider away until voiding is given up, and
// ends three orders with the tool: one is resumed and waits for the provider, one
// is settled as it is, one is settled against the facts. In the end the books
// differ for this one alone.
func TestOperatorsEndOrders(t *testing.T) {
	t.Parallel()
	p := start(t, "RESEND_AFTER=500ms", "MAX_RESENDS=1", "COMPENSATE_AFTER=1500ms", "SWEEP_EVERY=200ms")
	ctx := t.Context()
	p.stock(ctx, 100, "OPERATOR")
	p.faults(map[string]any{"outage": "error"})
	var orders []string
	for _, key := range []string{"resumed", "settled", "wrongly settled"} {
		o, err := p.Place(ctx, "patient", key, request("OPERATOR"))
		if err != nil {
			t.Fatal(err)
		}
		orders = append(orders, o.GetOrderId())
	}
	p.eventually("all need an operator", func() bool {
		return strings.Count(p.must("order", "list", "--status", "needs_operator"), "needs_operator") == len(orders)
	})
	p.eventually("the metric orders_needs_operator is 3", func() bool {
		return strings.Contains(p.metrics("orders"), "\norders_needs_operator 3\n")
	})
	resumed, settled, wrong := orders[0], orders[1], orders[2]
	tell := func(args ...string) {
		p.must(append(append([]string{"order"}, args...), "--operator", "grace", "--reason", "the bank says so")...)
	}
	tell("resume", resumed)
	tell("settle", settled, "--as", "cancelled")
	tell("settle", settled, "--as", "cancelled") // twice is once
	tell("settle", wrong, "--as", "confirmed")
	p.faults(map[string]any{})
	p.eventually("the resumed order is cancelled", func() bool { return p.status(resumed) == ordersv1.OrderStatus_ORDER_STATUS_CANCELLED })
	for id, event := range map[string]string{resumed: "OrderResumed", settled: "OrderSettled"} {
		page := p.must("order", "history", id)
		if strings.Count(page, event) != 1 || !strings.Contains(page, "by grace: the bank says so") {
			t.Errorf("no audit entry %s:\n%s", event, page)
		}
		if status := p.status(id); status != ordersv1.OrderStatus_ORDER_STATUS_CANCELLED {
			t.Errorf("%s ends in %v", id, status)
		}
	}
	// The void of the order that was called confirmed is answered after all: that
	// contradicts the operator, who is called again.
	p.eventually("the contradicted order needs an operator", func() bool {
		return p.status(wrong) == ordersv1.OrderStatus_ORDER_STATUS_NEEDS_OPERATOR
	})
	tell("settle", wrong, "--as", "confirmed")
	result, err := reconcile.Run(ctx, p.Client, orders, 5*time.Second, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range result.Differences {
		if d.Subject != wrong && d.Subject != "OPERATOR" {
			t.Errorf("difference: %+v", d)
		}
	}
	if len(result.Differences) == 0 {
		t.Error("the books agree with a word against the facts")
	}
}

// must runs a ballast command and returns what it says.
func (p *platform) must(args ...string) string {
	p.t.Helper()
	out, err := p.run(args...)
	if err != nil {
		p.t.Fatalf("ballast %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (p *platform) eventually(what string, ok func() bool) {
	p.t.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > time.Minute {
			p.t.Fatalf("never happened: %s", what)
		}
		time.Sleep(200 * time.Millisecond)
	}
	p.t.Logf("%s after %v", what, time.Since(began).Round(10*time.Millisecond))
}

func (p *platform) status(id string) ordersv1.OrderStatus {
	p.t.Helper()
	res, err := api.Do(p.t.Context(), p.Client, p.Orders.GetOrder, &ordersv1.GetOrderRequest{OrderId: id})
	if err != nil {
		p.t.Fatal(err)
	}
	return res.GetOrder().GetStatus()
}

// metrics reads what Prometheus would.
func (p *platform) metrics(service string) string {
	p.t.Helper()
	return p.admin(service, "/metrics")
}

// admin reads a page of a service's admin listener.
func (p *platform) admin(service, path string) string {
	p.t.Helper()
	state, err := p.home.Running()
	if err != nil {
		p.t.Fatal(err)
	}
	res, err := http.Get(state.Endpoints.Admin[service] + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}
