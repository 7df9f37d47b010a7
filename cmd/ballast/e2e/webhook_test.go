package e2e_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"example.com/ballast/cmd/ballast/internal/api"
	ordersv1 "example.com/ballast/gen/orders/v1"
)

// TestAKilledChargeIsSettledByItsWebhook kills payments while the provider has
// taken the money and not answered. The payments' leases run for 30 s; the
// provider's events, which it repeats until payments is back, bring them to an
// end long before.
func TestAKilledChargeIsSettledByItsWebhook(t *testing.T) {
	t.Parallel()
	p := start(t)
	ctx := t.Context()
	p.stock(ctx, 100, "HOOK")
	p.faults(map[string]any{
		"charge_timeout_rate": 1, "webhook_duplicate_rate": 0.5, "webhook_forged_rate": 0.5, "webhook_reorder_rate": 0.5,
		"webhook_delay_rate": 0.2, "webhook_delay_ms": 2000,
	})
	var accepted []string
	for i := range 10 {
		o, err := p.Place(ctx, "hook", fmt.Sprint(i), request("HOOK"))
		if err != nil {
			t.Fatal(err)
		}
		accepted = append(accepted, o.GetOrderId())
	}
	for deadline := time.Now().Add(20 * time.Second); captures(ctx, t, p) < len(accepted); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the provider did not take the money of all")
		}
	}
	began := time.Now()
	p.kill("payments")
	for _, id := range accepted {
		if o := await(ctx, t, p, id); o.GetStatus() != ordersv1.OrderStatus_ORDER_STATUS_CONFIRMED {
			t.Errorf("order %s is %s", id, o.GetStatus())
		}
	}
	took := time.Since(began)
	t.Logf("%d charges that were under way at the kill are settled after %v", len(accepted), took.Round(10*time.Millisecond))
	if took > 20*time.Second {
		t.Errorf("settled after %v: by the leases, not by the events", took)
	}
	p.reconcile(ctx, accepted)
}

func captures(ctx context.Context, t *testing.T, p *platform) (n int) {
	t.Helper()
	if err := p.EachBookLine(ctx, func(l api.BookLine) {
		if l.Kind == "captured" {
			n++
		}
	}); err != nil {
		t.Fatal(err)
	}
	return n
}
