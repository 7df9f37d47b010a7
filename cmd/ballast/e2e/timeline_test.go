package e2e_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/ballast/cmd/ballast/internal/timeline"
	ordersv1 "example.com/ballast/gen/orders/v1"
)

// timelines reads an order's life from one place: one that is confirmed, one that
// is undone, and one whose charge panicked, waited in the retry topic and was
// handled after all.
func timelines(ctx context.Context, t *testing.T, p *platform) {
	p.stock(ctx, 10, "TIME")
	for name, c := range map[string]struct {
		country string
		panics  bool
		end     ordersv1.OrderStatus
		want    []string
	}{
		"confirmed": {"GB", false, ordersv1.OrderStatus_ORDER_STATUS_CONFIRMED, []string{
			"event OrderPlaced", "message ReserveStock", "message StockReserved", "event OrderReserved", "message ChargePayment",
			"provider created", "provider captured", "message PaymentCharged", "event OrderCharged", "message ScheduleShipment",
			"message ShipmentScheduled", "event OrderConfirmed",
		}},
		"undone": {"KP", false, ordersv1.OrderStatus_ORDER_STATUS_CANCELLED, []string{
			"message ShipmentRefused", "event OrderCancellationStarted", "message VoidPayment", "provider refunded", "message PaymentRefunded",
			"message ReleaseStock", "message StockReleased", "event OrderCancelled",
		}},
		"retried": {"GB", true, ordersv1.OrderStatus_ORDER_STATUS_CONFIRMED, []string{
			"message ChargePayment", "aside ChargePayment", "provider captured", "message PaymentCharged", "event OrderConfirmed",
		}},
	} {
		if c.panics {
			p.panics(true)
		}
		req := request("TIME")
		req.ShipTo.Country = c.country
		o, err := p.Place(ctx, "time", name, req)
		if err != nil {
			t.Fatal(err)
		}
		if c.panics {
			p.eventually("the charge is set aside", func() bool {
				return slices.ContainsFunc(p.timeline(o.GetOrderId()), func(s timeline.Step) bool { return s.Kind == timeline.Aside })
			})
			p.panics(false)
		}
		if done := await(ctx, t, p, o.GetOrderId()); done.GetStatus() != c.end {
			t.Errorf("%s: ends as %s", name, done.GetStatus())
		}
		p.inOrder(o.GetOrderId(), c.want)
	}
}

// panics lets payments panic at every message, or no longer, and returns when it
// has read that.
func (p *platform) panics(on bool) {
	p.t.Helper()
	const flag = "payments.fault-handler-panic"
	if on {
		p.must("flag", "set", flag, "true")
	} else {
		p.must("flag", "unset", flag)
	}
	p.eventually("payments knows the flag", func() bool { return strings.Contains(p.admin("payments", "/flags"), flag) == on })
}

// inOrder waits until the timeline has these steps one after the other, and
// checks the waits.
func (p *platform) inOrder(id string, want []string) {
	p.t.Helper()
	p.eventually("the timeline has everything", func() bool {
		rest := want
		for _, s := range p.timeline(id) {
			if len(rest) > 0 && s.Kind+" "+s.What == rest[0] {
				rest = rest[1:]
			}
		}
		return len(rest) == 0
	})
	for _, s := range p.timeline(id) {
		// The broker stamps whole milliseconds.
		if s.Kind == timeline.Message && (s.Outbox == nil || *s.Outbox < -1 || *s.Outbox > 60_000) {
			p.t.Errorf("outbox wait of %+v", s)
		}
		if s.Kind == timeline.Message && (s.Answered == nil || *s.Answered < -1 || *s.Answered > 60_000) {
			p.t.Errorf("time to the answer of %+v", s)
		}
	}
}

func (p *platform) timeline(id string) []timeline.Step {
	p.t.Helper()
	var shown struct {
		Timeline []timeline.Step
		Notes    []string
	}
	began := time.Now()
	if err := json.Unmarshal([]byte(p.must("order", "show", id, "--json")), &shown); err != nil {
		p.t.Fatal(err)
	}
	if len(shown.Notes) > 0 {
		p.t.Errorf("after %v: %v", time.Since(began), shown.Notes)
	}
	return shown.Timeline
}
