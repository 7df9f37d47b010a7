package e2e_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"example.com/ballast/cmd/ballast/internal/reconcile"
	ordersv1 "example.com/ballast/gen/orders/v1"
)

// TestOrdersGoOnWhileTheOthersAreAway stops the broker, both participants and
// Redis at once, without a word: they keep their connections and say nothing.
// Orders are placed and read all the same, and all are confirmed afterwards.
func TestOrdersGoOnWhileTheOthersAreAway(t *testing.T) {
	t.Parallel()
	p := start(t)
	ctx := t.Context()
	p.stock(ctx, 1000, "STATIC")
	var stopped []int
	for _, name := range []string{"kafka", "inventory", "payments", "redis-orders"} {
		pid, _ := p.child(name)
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		stopped = append(stopped, pid)
	}
	resume := func() {
		for _, pid := range stopped {
			_ = syscall.Kill(pid, syscall.SIGCONT) // One that has ended needs none.
		}
	}
	t.Cleanup(resume)

	var accepted []string
	var slowest time.Duration
	for began := time.Now(); time.Since(began) < 6*time.Second; time.Sleep(50 * time.Millisecond) {
		before := time.Now()
		o, err := p.Place(ctx, "steady", fmt.Sprint(len(accepted)), request("STATIC"))
		if err != nil {
			t.Fatal(err)
		}
		accepted = append(accepted, o.GetOrderId())
		slowest = max(slowest, time.Since(before))
	}
	if retries := p.Retries.Counts(); len(retries) > 0 {
		t.Errorf("orders were refused at first: %v", retries)
	}
	placed := 0
	if err := p.EachOrder(ctx, func(o *ordersv1.Order) {
		if o.GetStatus() == ordersv1.OrderStatus_ORDER_STATUS_PLACED {
			placed++
		}
	}); err != nil {
		t.Fatal(err)
	}
	if placed != len(accepted) {
		t.Errorf("%d of %d orders wait in PLACED: the others were not away", placed, len(accepted))
	}
	resume()
	result := p.reconcile(ctx, accepted)
	t.Logf("%d orders, the slowest placed in %v; ends %v", len(accepted), slowest.Round(time.Millisecond), result.Orders)
	if n := result.Orders[reconcile.StatusName(ordersv1.OrderStatus_ORDER_STATUS_CONFIRMED)]; n != len(accepted) {
		t.Errorf("ends: %v, want all %d confirmed", result.Orders, len(accepted))
	}
}
