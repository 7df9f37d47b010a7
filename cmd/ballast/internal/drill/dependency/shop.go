package dependency

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"example.com/ballast/cmd/ballast/internal/api"
	"example.com/ballast/cmd/ballast/internal/drill"
	inventoryv1 "example.com/ballast/gen/inventory/v1"
	ordersv1 "example.com/ballast/gen/orders/v1"
)

// The kinds of calls, and what is bought.
const (
	placing = "place order"
	reading = "read"
	sku     = "DEPENDENCY"
)

// shop is the customers: they place orders, read one that they placed a while
// ago, and look at a product.
type shop struct {
	client *api.Client

	probes   atomic.Int64
	mu       sync.Mutex
	accepted []string
}

func (s *shop) call(ctx context.Context, n int) (kind string, err error) {
	switch n % 8 {
	case 1, 5:
		// A new order, and one of a few that are looked at again and again.
		id := s.earlier(10, n%8 == 5)
		if id == "" {
			break // nothing to read yet
		}
		_, err = api.Do(ctx, s.client, s.client.Orders.GetOrder, &ordersv1.GetOrderRequest{OrderId: id})
		return reading, err
	case 3, 7:
		_, err = api.Do(ctx, s.client, s.client.Inventory.GetProduct, &inventoryv1.GetProductRequest{Sku: sku})
		return reading, err
	}
	_, err = s.place(ctx, fmt.Sprint("customer-", n%20), fmt.Sprint("order-", n))
	return placing, err
}

func (s *shop) place(ctx context.Context, customer, key string) (string, error) {
	order, err := s.client.Place(ctx, customer, key, &ordersv1.PlaceOrderRequest{
		ShipTo: &ordersv1.Address{Country: "GB"}, Lines: []*ordersv1.LineRequest{{Sku: sku, Quantity: 1}},
	})
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted = append(s.accepted, order.GetOrderId())
	return order.GetOrderId(), nil
}

// probe places an order and waits for its confirmation, at most for patience. It
// returns how long both took.
func (s *shop) probe(ctx context.Context, patience time.Duration) (time.Duration, error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	id, err := s.place(ctx, "probe", fmt.Sprint("probe-", s.probes.Add(1)))
	if err != nil {
		return 0, err
	}
	for {
		res, err := api.Do(ctx, s.client, s.client.Orders.GetOrder, &ordersv1.GetOrderRequest{OrderId: id})
		if err == nil && res.GetOrder().GetStatus() == ordersv1.OrderStatus_ORDER_STATUS_CONFIRMED {
			return time.Since(began), nil
		}
		if err := drill.Sleep(ctx, 25*time.Millisecond); err != nil {
			return 0, err
		}
	}
}

// earlier returns an order that was accepted so many orders ago, or one of as many
// that were the first; nothing while there are too few.
func (s *shop) earlier(ago int, first bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.accepted) <= ago:
		return ""
	case first:
		return s.accepted[rand.IntN(ago)]
	}
	return s.accepted[len(s.accepted)-1-ago]
}

func (s *shop) placed() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.accepted)
}
