package rolling

import (
	"context"
	"fmt"
	"sync"

	"example.com/ballast/cmd/ballast/internal/api"
	ordersv1 "example.com/ballast/gen/orders/v1"
)

const placing = "place order"

// shop places orders and remembers those that were accepted.
type shop struct {
	client *api.Client

	mu       sync.Mutex
	accepted []string
}

func newShop(c *api.Client) *shop { return &shop{client: c} }

func (s *shop) place(ctx context.Context, n int) error {
	order, err := s.client.Place(ctx, fmt.Sprint("customer-", n%20), fmt.Sprint("order-", n), &ordersv1.PlaceOrderRequest{
		ShipTo: &ordersv1.Address{Country: "GB"}, Lines: []*ordersv1.LineRequest{{Sku: sku, Quantity: 1}},
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted = append(s.accepted, order.GetOrderId())
	return nil
}

// earlier returns an order that was accepted so many orders ago, or nothing.
func (s *shop) earlier(ago int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.accepted) <= ago {
		return ""
	}
	return s.accepted[len(s.accepted)-1-ago]
}

func (s *shop) placed() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.accepted...)
}
