package e2e_test

import (
	"fmt"
	"testing"
	"time"

	"example.com/ballast/cmd/ballast/internal/reconcile"
	ordersv1 "example.com/ballast/gen/orders/v1"
)

// TestALongOutageEndsByItself keeps the provider away until orders give up: they
// are cancelled, the cancellation isn't answered either, an operator is called.
// When the provider is back, all of it ends without one.
func TestALongOutageEndsByItself(t *testing.T) {
	t.Parallel()
	p := start(t, "RESEND_AFTER=1s", "MAX_RESENDS=2", "COMPENSATE_AFTER=3s")
	ctx := t.Context()
	p.stock(ctx, 100, "OUTAGE")
	p.faults(map[string]any{"outage": "error"})
	var accepted []string
	for i := range 40 {
		o, err := p.Place(ctx, "patient", fmt.Sprint(i), request("OUTAGE"))
		if err != nil {
			t.Fatal(err)
		}
		accepted = append(accepted, o.GetOrderId())
	}
	count := func(status ordersv1.OrderStatus) (n int) {
		t.Helper()
		if err := p.EachOrder(ctx, func(o *ordersv1.Order) {
			if o.GetStatus() == status {
				n++
			}
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	began := time.Now()
	for count(ordersv1.OrderStatus_ORDER_STATUS_NEEDS_OPERATOR) < len(accepted) {
		if time.Since(began) > time.Minute {
			t.Fatal("the outage never reached the end of the platform's patience")
		}
		time.Sleep(200 * time.Millisecond)
	}
	p.faults(map[string]any{})
	healed := time.Now()
	for count(ordersv1.OrderStatus_ORDER_STATUS_CANCELLED) < len(accepted) {
		if time.Since(healed) > time.Minute {
			t.Fatalf("%d of %d orders are cancelled a minute after the outage", count(ordersv1.OrderStatus_ORDER_STATUS_CANCELLED), len(accepted))
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Logf("gave up after %v, ended %v after the outage", healed.Sub(began).Round(time.Second), time.Since(healed).Round(time.Second))
	if result := p.reconcile(ctx, accepted); result.Orders[reconcile.StatusName(ordersv1.OrderStatus_ORDER_STATUS_CANCELLED)] != len(accepted) {
		t.Errorf("ends: %v", result.Orders)
	}
}
