package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"example.com/ballast/cmd/ballast/internal/api"
	ordersv1 "example.com/ballast/gen/orders/v1"
)

// TestCheckout has one stack for all that breaks nothing.
func TestCheckout(t *testing.T) {
	t.Parallel()
	p := start(t)
	ctx := t.Context()
	t.Run("an order of 1,200 lines is confirmed", func(t *testing.T) { largeOrder(ctx, t, p) })
	t.Run("100 calls with one key", func(t *testing.T) { oneKey(ctx, t, p) })
	t.Run("200 buyers for 50 units", func(t *testing.T) { lastUnits(ctx, t, p) })
	t.Run("a refused destination", func(t *testing.T) { refusedDestination(ctx, t, p) })
	t.Run("the timeline of an order", func(t *testing.T) { timelines(ctx, t, p) })
	t.Run("dead letters are replayed and discarded", func(t *testing.T) { deadLetters(ctx, t, p) })
	t.Run("cancel at every moment", func(t *testing.T) { cancelAtEveryMoment(ctx, t, p) })
	p.reconcile(ctx, nil)
	t.Run("metrics are registered", func(t *testing.T) { metricsAreRegistered(ctx, t, p) })
}

// await polls an order until it is terminal.
func await(ctx context.Context, t *testing.T, p *platform, id string) *ordersv1.Order {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		res, err := api.Do(ctx, p.Client, p.Orders.GetOrder, &ordersv1.GetOrderRequest{OrderId: id})
		if err != nil {
			t.Fatal(err)
		}
		switch o := res.GetOrder(); o.GetStatus() {
		case ordersv1.OrderStatus_ORDER_STATUS_CONFIRMED, ordersv1.OrderStatus_ORDER_STATUS_CANCELLED, ordersv1.OrderStatus_ORDER_STATUS_NEEDS_OPERATOR:
			return o
		default:
			if time.Now().After(deadline) {
				t.Fatalf("order %s is still %s", id, o.GetStatus())
			}
		}
	}
}

func largeOrder(ctx context.Context, t *testing.T, p *platform) {
	skus := make([]string, 1200)
	for i := range skus {
		skus[i] = fmt.Sprintf("LARGE-%04d", i)
	}
	p.stock(ctx, 5, skus...)
	o, err := p.Place(ctx, "large", "one", request(skus...))
	if err != nil {
		t.Fatal(err)
	}
	if done := await(ctx, t, p, o.GetOrderId()); done.GetStatus() != ordersv1.OrderStatus_ORDER_STATUS_CONFIRMED || len(done.GetLines()) != 1200 {
		t.Errorf("%s with %d lines", done.GetStatus(), len(done.GetLines()))
	}
}

func oneKey(ctx context.Context, t *testing.T, p *platform) {
	p.stock(ctx, 100, "KEY-A", "KEY-B")
	var wg sync.WaitGroup
	answers := make([]*ordersv1.Order, 100)
	for i := range answers {
		wg.Go(func() {
			var err error
			if answers[i], err = p.Place(ctx, "ann", "same", request("KEY-A", "KEY-B")); err != nil {
				t.Errorf("call %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	for i, a := range answers {
		if a.GetOrderId() != answers[0].GetOrderId() || a.GetVersion() != 1 || a.GetStatus() != ordersv1.OrderStatus_ORDER_STATUS_PLACED {
			t.Errorf("call %d got another answer: %v", i, a)
		}
	}
	if _, err := p.Place(ctx, "ann", "same", request("KEY-A")); api.Refusal(err) != "IDEMPOTENCY_KEY_REUSED" {
		t.Errorf("another request under the key: %v", err)
	}
	other, err := p.Place(ctx, "bob", "same", request("KEY-A", "KEY-B"))
	if err != nil || other.GetOrderId() == answers[0].GetOrderId() {
		t.Errorf("another customer's same key: %v, %v", other, err)
	}
	await(ctx, t, p, answers[0].GetOrderId())
	n := 0
	if err := p.EachOrder(ctx, func(o *ordersv1.Order) {
		if o.GetCustomerId() == "ann" {
			n++
		}
	}); err != nil || n != 1 {
		t.Errorf("%d orders, want 1 (%v)", n, err)
	}
}

// lastUnits lets 200 buyers want 1 to 3 of three products with 50 units each,
// at once. Whoever is refused must have been refused rightly: in the end no
// buyer who went away empty could have been served.
func lastUnits(ctx context.Context, t *testing.T, p *platform) {
	skus := []string{"LAST-A", "LAST-B", "LAST-C"}
	p.stock(ctx, 50, skus...)
	r := rand.New(rand.NewPCG(7, 7))
	var wg sync.WaitGroup
	orders := make([]*ordersv1.Order, 200)
	for i := range orders {
		req := request()
		for _, n := range r.Perm(3)[:1+r.IntN(3)] {
			req.Lines = append(req.Lines, &ordersv1.LineRequest{Sku: skus[n], Quantity: 1})
		}
		wg.Go(func() {
			o, err := p.Place(ctx, fmt.Sprint("buyer-", i), "k", req)
			if err != nil {
				t.Errorf("buyer %d: %v", i, err)
				return
			}
			orders[i] = await(ctx, t, p, o.GetOrderId())
		})
	}
	wg.Wait()
	sold := map[string]int32{}
	for _, o := range orders {
		if o.GetStatus() == ordersv1.OrderStatus_ORDER_STATUS_CONFIRMED {
			for _, l := range o.GetLines() {
				sold[l.GetSku()] += l.GetQuantity()
			}
		}
	}
	for _, sku := range skus {
		if sold[sku] > 50 {
			t.Errorf("%d of 50 units of %s are sold", sold[sku], sku)
		}
	}
	for _, o := range orders {
		servable := o.GetStatus() == ordersv1.OrderStatus_ORDER_STATUS_CANCELLED
		for _, l := range o.GetLines() {
			servable = servable && sold[l.GetSku()]+l.GetQuantity() <= 50
		}
		if servable {
			t.Errorf("order %s went away empty, and its units are still there: sold %v", o.GetOrderId(), sold)
		}
	}
}

func refusedDestination(ctx context.Context, t *testing.T, p *platform) {
	p.stock(ctx, 5, "FAR")
	req := request("FAR")
	req.ShipTo.Country = "KP"
	o, err := p.Place(ctx, "far", "k", req)
	if err != nil {
		t.Fatal(err)
	}
	done := await(ctx, t, p, o.GetOrderId())
	if done.GetStatus() != ordersv1.OrderStatus_ORDER_STATUS_CANCELLED || done.GetCancelReason() != ordersv1.CancelReason_CANCEL_REASON_SHIPMENT_REFUSED {
		t.Errorf("ends as %s because of %s", done.GetStatus(), done.GetCancelReason())
	}
}

// cancelAtEveryMoment cancels orders after delays that sweep the whole checkout,
// while the provider is slow and sometimes wrong, and inventory stands still
// half of the time.
func cancelAtEveryMoment(ctx context.Context, t *testing.T, p *platform) {
	const orders = 150
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	p.stock(ctx, 2*orders, "CANCEL-A", "CANCEL-B")
	p.faults(map[string]any{"latency_ms": 40, "jitter_ms": 120, "error_rate": 0.05, "decline_rate": 0.05, "charge_timeout_rate": 0.03, "hang_ms": 1500,
		"webhook_duplicate_rate": 0.3, "webhook_delay_rate": 0.2, "webhook_delay_ms": 1500, "webhook_reorder_rate": 0.3,
		"webhook_forged_rate": 0.2, "webhook_first_rate": 0.2})
	defer p.faults(map[string]any{})
	// The moments reach beyond what a checkout takes here and now: five lone ones
	// in a row take about as long as one of 150 at once.
	began := time.Now()
	for i := range 5 {
		o, err := p.Place(ctx, "patient", fmt.Sprint(i), request("CANCEL-A"))
		if err != nil {
			t.Fatal(err)
		}
		await(ctx, t, p, o.GetOrderId())
	}
	sweep := time.Since(began)
	defer p.stutter("inventory", 100*time.Millisecond)()
	var wg sync.WaitGroup
	ends := make([]ordersv1.OrderStatus, orders)
	for i := range orders {
		delay := time.Duration(r.Int64N(int64(sweep)))
		wg.Go(func() {
			o, err := p.Place(ctx, "fickle", fmt.Sprint("cancel-", i), request("CANCEL-A", "CANCEL-B"))
			if err != nil {
				t.Errorf("order %d: %v", i, err)
				return
			}
			time.Sleep(delay)
			_, err = api.Do(api.As(ctx, "fickle"), p.Client, p.Orders.CancelOrder, &ordersv1.CancelOrderRequest{OrderId: o.GetOrderId()})
			refused := api.Refusal(err) == "ORDER_CONFIRMED"
			if err != nil && !refused {
				t.Errorf("cancel %d after %v: %v", i, delay, err)
			}
			done := await(ctx, t, p, o.GetOrderId())
			ends[i] = done.GetStatus()
			if refused != (done.GetStatus() == ordersv1.OrderStatus_ORDER_STATUS_CONFIRMED) {
				t.Errorf("cancel %d after %v was refused: %v, and the order ends as %s", i, delay, refused, done.GetStatus())
			}
		})
	}
	wg.Wait()
	count := map[ordersv1.OrderStatus]int{}
	for _, s := range ends {
		count[s]++
	}
	t.Logf("cancelled within %v, ends: %v", sweep.Round(time.Millisecond), count)
}
