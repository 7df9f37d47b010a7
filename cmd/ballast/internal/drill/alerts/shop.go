package alerts

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"example.com/ballast/cmd/ballast/internal/api"
	"example.com/ballast/cmd/ballast/internal/drill"
	"example.com/ballast/cmd/ballast/internal/stack"
	ordersv1 "example.com/ballast/gen/orders/v1"
)

// sku is what everybody buys.
const sku = "ALERTS"

// shop is the steady load: its customers place an order and look at one, by turns.
type shop struct {
	client *api.Client

	mu       sync.Mutex
	accepted []string
}

// open makes the customers' client. They don't repeat a call: what the services
// see is what is sent, also while most of it fails.
func (p *play) open(state stack.State) error {
	signer, err := p.Home.Signer()
	if err != nil {
		return err
	}
	p.shop.client = api.New(api.Config{
		Endpoints: state.Endpoints.API(), Mint: signer.Token, Attempt: 5 * time.Second, Wait: time.Nanosecond,
	})
	return nil
}

func (s *shop) call(ctx context.Context, n int) (kind string, err error) {
	customer := fmt.Sprint("customer-", n/2%50)
	if n%2 == 0 {
		return "place", s.place(ctx, customer, fmt.Sprint("order-", n))
	}
	id, ok := s.some(n)
	if !ok {
		return "read", nil
	}
	_, err = api.Do(ctx, s.client, s.client.Orders.GetOrder, &ordersv1.GetOrderRequest{OrderId: id})
	return "read", err
}

func (s *shop) place(ctx context.Context, customer, key string) error {
	order, err := s.client.Place(ctx, customer, key, &ordersv1.PlaceOrderRequest{
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

// some is one of the orders, if there are any.
func (s *shop) some(n int) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.accepted) == 0 {
		return "", false
	}
	return s.accepted[n*7%len(s.accepted)], true
}

func (s *shop) placed() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.accepted...)
}

// confirmed waits for one that is confirmed.
func (s *shop) confirmed(ctx context.Context) (*ordersv1.Order, error) {
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); {
		for n := range 20 {
			id, ok := s.some(n)
			if !ok {
				break
			}
			answer, err := api.Do(ctx, s.client, s.client.Orders.GetOrder, &ordersv1.GetOrderRequest{OrderId: id})
			if err == nil && answer.GetOrder().GetStatus() == ordersv1.OrderStatus_ORDER_STATUS_CONFIRMED {
				return answer.GetOrder(), nil
			}
		}
		if err := drill.Sleep(ctx, look); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("no order is confirmed")
}
