// Package shoptest is a whole shop in memory for the tests of the tools that
// talk to one: the three services and the provider's book behind one HTTP
// server. Its books agree unless a test breaks them.
package shoptest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"example.com/ballast/cmd/ballast/internal/api"
	"example.com/ballast/gen/inventory/v1/inventoryv1connect"
	moneyv1 "example.com/ballast/gen/money/v1"
	ordersv1 "example.com/ballast/gen/orders/v1"
	"example.com/ballast/gen/orders/v1/ordersv1connect"
	paymentsv1 "example.com/ballast/gen/payments/v1"
	"example.com/ballast/gen/payments/v1/paymentsv1connect"
)

// operatorToken is what Mint gives an operator; a customer's token is its id.
const operatorToken = "operator!"

// Country is a destination that the shop does not serve.
const Country = "BH"

// Shop is the fake. Set the fields before the first call.
type Shop struct {
	// Busy is how many calls of PlaceOrder are answered unavailable first.
	Busy int
	// Lag is how many calls of PlaceOrder it takes until orders knows the catalogue.
	Lag int
	// Lose makes PlaceOrder forget every n-th order that it acknowledged.
	Lose int
	// Skim takes a penny from every capture in the provider's book.
	Skim int64
	// Placed, when set, is told each order at its end, from a goroutine of the call.
	Placed func(*ordersv1.Order)

	mu           sync.Mutex
	calls, taken int
	orders       map[string]*ordersv1.Order // by id
	keys         map[string]string          // customer and key -> id
	prices       map[string]int64
	receipts     map[string]bool
	received     map[string]int64
	reserved     map[string]int64
	shipped      map[string]int64
	book         []api.BookLine
	ledger       []*paymentsv1.LedgerEntry
}

// Start serves the shop until the test ends and returns a client of it.
func (s *Shop) Start(t testing.TB) *api.Client {
	t.Helper()
	s.orders, s.keys, s.prices = map[string]*ordersv1.Order{}, map[string]string{}, map[string]int64{}
	s.receipts, s.received, s.reserved, s.shipped = map[string]bool{}, map[string]int64{}, map[string]int64{}, map[string]int64{}
	server := connect.NewServer()
	ordersv1connect.RegisterOrderServiceHandler(server, orders{Shop: s})
	inventoryv1connect.RegisterInventoryServiceHandler(server, inventory{Shop: s})
	paymentsv1connect.RegisterPaymentServiceHandler(server, payments{Shop: s})
	mux := http.NewServeMux()
	connecthttp.Mount(mux, server)
	mux.HandleFunc("GET /book", s.serveBook)
	listener := httptest.NewServer(mux)
	t.Cleanup(listener.Close)
	return api.New(api.Config{
		Endpoints: api.Endpoints{
			Orders: []string{listener.URL}, Inventory: []string{listener.URL}, Payments: []string{listener.URL}, Provider: listener.URL,
		},
		Wait: 5 * time.Second,
		Mint: func(subject string, operator bool) (string, error) {
			if operator {
				return operatorToken, nil
			}
			return subject, nil
		},
	})
}

func (s *Shop) serveBook(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	enc := json.NewEncoder(w)
	for _, line := range s.book {
		if enc.Encode(line) != nil {
			return
		}
	}
}

// caller is the customer of the call, empty for an operator.
func caller(ctx context.Context) (string, error) {
	info, _ := connect.CallInfoForServerContext(ctx)
	token := strings.TrimPrefix(info.RequestHeader().Get("Authorization"), "Bearer ")
	switch token {
	case "":
		return "", connect.NewError(connect.CodeUnauthenticated, "no token")
	case operatorToken:
		return "", nil
	}
	return token, nil
}

func refuse(code connect.Code, message, reason string, metadata map[string]string) error {
	return detailed(code, message, &errdetails.ErrorInfo{Reason: reason, Domain: "ballast", Metadata: metadata})
}

func detailed(code connect.Code, message string, detail proto.Message) error {
	encoded, err := connectproto.NewErrorDetail(detail)
	if err != nil {
		return err
	}
	return connect.NewError(code, message).WithDetail(encoded)
}

type orders struct {
	*Shop
	ordersv1connect.UnimplementedOrderServiceHandler
}

func (s orders) PlaceOrder(ctx context.Context, req *ordersv1.PlaceOrderRequest) (*ordersv1.PlaceOrderResponse, error) {
	customer, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	info, _ := connect.CallInfoForServerContext(ctx)
	key := customer + "\n" + info.RequestHeader().Get("Idempotency-Key")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls++; s.calls <= s.Busy {
		return nil, detailed(connect.CodeUnavailable, "busy", &errdetails.RetryInfo{})
	}
	if known := s.orders[s.keys[key]]; known != nil {
		return &ordersv1.PlaceOrderResponse{Order: known}, nil
	}
	order, err := s.price(req)
	if err != nil {
		return nil, err
	}
	s.taken++
	order.OrderId = fmt.Sprintf("%08d", s.taken)
	order.CustomerId = customer
	if s.Lose > 0 && s.taken%s.Lose == 0 {
		return &ordersv1.PlaceOrderResponse{Order: order}, nil
	}
	s.keys[key] = order.GetOrderId()
	s.orders[order.GetOrderId()] = order
	answer := proto.CloneOf(order)
	s.checkout(order)
	return &ordersv1.PlaceOrderResponse{Order: answer}, nil
}

func (s *Shop) price(req *ordersv1.PlaceOrderRequest) (*ordersv1.Order, error) {
	units := map[string]int32{}
	for _, line := range req.GetLines() {
		if s.prices[line.GetSku()] == 0 || s.calls <= s.Lag {
			return nil, refuse(connect.CodeInvalidArgument, "no such product", "UNKNOWN_SKU", nil)
		}
		units[line.GetSku()] += line.GetQuantity()
	}
	now := timestamppb.Now()
	order := &ordersv1.Order{
		Status: ordersv1.OrderStatus_ORDER_STATUS_PLACED, ShipTo: req.GetShipTo(), Version: 1, CreateTime: now, UpdateTime: now,
		Total: &moneyv1.Money{Currency: "GBP"},
	}
	for _, sku := range slices.Sorted(maps.Keys(units)) {
		price := s.prices[sku]
		order.Lines = append(order.Lines, &ordersv1.OrderLine{Sku: sku, Quantity: units[sku], UnitPrice: &moneyv1.Money{Currency: "GBP", MinorUnits: price}})
		order.Total.MinorUnits += price * int64(units[sku])
	}
	if want := req.GetExpectedTotal(); want != nil && want.GetMinorUnits() != order.GetTotal().GetMinorUnits() {
		return nil, refuse(connect.CodeFailedPrecondition, "the price changed", "PRICE_CHANGED", map[string]string{
			"actual_minor_units": strconv.FormatInt(order.GetTotal().GetMinorUnits(), 10),
		})
	}
	return order, nil
}

// checkout does at once what the services take three steps for. The order in
// the map changes only by its next reader's lock.
func (s *Shop) checkout(order *ordersv1.Order) {
	cancel := func(reason ordersv1.CancelReason) {
		order.Status, order.CancelReason = ordersv1.OrderStatus_ORDER_STATUS_CANCELLED, reason
	}
	total := order.GetTotal().GetMinorUnits()
	switch {
	case s.short(order):
		cancel(ordersv1.CancelReason_CANCEL_REASON_OUT_OF_STOCK)
	case order.GetShipTo().GetCountry() == Country:
		s.pay(order, total)
		s.pay(order, -total)
		cancel(ordersv1.CancelReason_CANCEL_REASON_SHIPMENT_REFUSED)
	default:
		s.pay(order, total)
		for _, line := range order.GetLines() {
			s.shipped[line.GetSku()] += int64(line.GetQuantity())
		}
		order.Status = ordersv1.OrderStatus_ORDER_STATUS_CONFIRMED
	}
	order.Version, order.UpdateTime = 4, timestamppb.Now()
	if s.Placed != nil {
		go s.Placed(proto.CloneOf(order))
	}
}

func (s *Shop) short(order *ordersv1.Order) bool {
	return slices.ContainsFunc(order.GetLines(), func(line *ordersv1.OrderLine) bool {
		return s.received[line.GetSku()]-s.shipped[line.GetSku()] < int64(line.GetQuantity())
	})
}

// pay books a charge, or a refund below zero.
func (s *Shop) pay(order *ordersv1.Order, amount int64) {
	kind, word, moved := api.BookCaptured, "charge", amount
	if amount < 0 {
		kind, word, moved = api.BookRefunded, "refund", -amount
	}
	s.book = append(s.book, api.BookLine{Kind: kind, OrderID: order.GetOrderId(), Amount: moved - s.Skim, Currency: "gbp"})
	for _, side := range []struct {
		account string
		amount  int64
	}{{"provider_receivable", amount}, {"customer_payments", -amount}} {
		s.ledger = append(s.ledger, &paymentsv1.LedgerEntry{
			EntryId: int64(len(s.ledger) + 1), OrderId: order.GetOrderId(), Kind: word, Account: side.account,
			Amount: &moneyv1.Money{Currency: "GBP", MinorUnits: side.amount},
		})
	}
}

func (s orders) GetOrder(_ context.Context, req *ordersv1.GetOrderRequest) (*ordersv1.GetOrderResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	order := s.orders[req.GetOrderId()]
	if order == nil {
		return nil, refuse(connect.CodeNotFound, "no such order", "ORDER_NOT_FOUND", nil)
	}
	return &ordersv1.GetOrderResponse{Order: order}, nil
}

func (s orders) ListOrders(ctx context.Context, req *ordersv1.ListOrdersRequest) (*ordersv1.ListOrdersResponse, error) {
	customer, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var mine []*ordersv1.Order
	for _, order := range s.orders {
		if customer == "" || order.GetCustomerId() == customer {
			mine = append(mine, order)
		}
	}
	slices.SortFunc(mine, func(a, b *ordersv1.Order) int { return cmp.Compare(b.GetOrderId(), a.GetOrderId()) })
	// Small pages, so that every test turns some.
	page, next := turn(mine, req.GetPageToken(), 2)
	return &ordersv1.ListOrdersResponse{Orders: page, NextPageToken: next}, nil
}

// turn cuts one page out of the items; the token is the offset.
func turn[T any](items []T, token string, size int) (page []T, next string) {
	from, _ := strconv.Atoi(token) // empty is the first page
	from = min(from, len(items))
	to := min(from+size, len(items))
	if to < len(items) {
		next = strconv.Itoa(to)
	}
	return items[from:to], next
}
