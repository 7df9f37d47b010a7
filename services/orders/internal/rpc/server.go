// Package rpc is the public face of orders: it parses requests, calls, and
// converts answers. The rules are the domain's.
package rpc

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"strings"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	ordersv1 "example.com/ballast/gen/orders/v1"
	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/money"
	"example.com/ballast/pkg/telemetry"
	"example.com/ballast/services/orders/internal/order"
)

const (
	maxKeyLength    = 255     // of an Idempotency-Key, in bytes
	maxQuantity     = 100_000 // of one SKU in one order, as in the proto
	defaultPageSize = 50
)

// Orders is what the handlers need of the rest of the service.
type Orders struct {
	Place func(context.Context, order.Placement) (order.State, error)
	Get   func(context.Context, ids.ID) (order.View, error)
	// Read is Get for those who only look: it may answer from a cache.
	Read    func(context.Context, ids.ID) (order.View, error)
	List    func(ctx context.Context, f order.Filter, before ids.ID, count int) ([]order.View, error)
	History func(context.Context, ids.ID) ([]order.Recorded, error)
	Tell    func(context.Context, []order.Told) ([]order.Verdict, error)
	// Subscribe fails with order.ErrTooManyWatchers.
	Subscribe func(context.Context, ids.ID) (Updates, error)
}

// Server implements orders.v1.OrderService.
type Server struct{ orders Orders }

// New makes a server.
func New(orders Orders) *Server { return &Server{orders} }

// PlaceOrder stores an order, once for each key of a customer.
func (s *Server) PlaceOrder(ctx context.Context, req *ordersv1.PlaceOrderRequest) (*ordersv1.PlaceOrderResponse, error) {
	p, err := placement(ctx, req)
	if err != nil {
		return nil, err
	}
	placed, err := s.orders.Place(ctx, p)
	if err != nil {
		return nil, forClient(err)
	}
	telemetry.Label(ctx, slog.String("order_id", placed.ID.String()))
	about(ctx, placed.ID)
	return &ordersv1.PlaceOrderResponse{Order: orderProto(order.View{State: placed, Recipient: p.Recipient})}, nil
}

// GetOrder reads one order of the caller.
func (s *Server) GetOrder(ctx context.Context, req *ordersv1.GetOrderRequest) (*ordersv1.GetOrderResponse, error) {
	view, err := s.owned(ctx, s.orders.Read, req.GetOrderId())
	if err != nil {
		return nil, err
	}
	return &ordersv1.GetOrderResponse{Order: orderProto(view)}, nil
}

// ListOrders reads a page of the caller's orders; an operator's are everybody's.
func (s *Server) ListOrders(ctx context.Context, req *ordersv1.ListOrdersRequest) (*ordersv1.ListOrdersResponse, error) {
	caller, _ := edge.Caller(ctx)
	filter := order.Filter{Customer: caller.Customer, Status: order.Status(req.GetStatus())} //nolint:gosec // its rule allows few values
	if caller.Operator {
		filter.Customer = ""
	}
	before, err := parsePageToken(req.GetPageToken())
	if err != nil {
		return nil, edge.FieldError("page_token", "is not a next_page_token of ListOrders")
	}
	size := int(req.GetPageSize())
	if size == 0 {
		size = defaultPageSize
	}
	views, err := s.orders.List(ctx, filter, before, size)
	if err != nil {
		return nil, forClient(err)
	}
	res := &ordersv1.ListOrdersResponse{Orders: make([]*ordersv1.Order, len(views))}
	for i, v := range views {
		res.Orders[i] = orderProto(v)
	}
	if len(views) == size {
		res.NextPageToken = pageToken(views[size-1].ID)
	}
	return res, nil
}

// GetOrderHistory reads the events of an order of the caller.
func (s *Server) GetOrderHistory(ctx context.Context, req *ordersv1.GetOrderHistoryRequest) (*ordersv1.GetOrderHistoryResponse, error) {
	view, err := s.owned(ctx, s.orders.Get, req.GetOrderId())
	if err != nil {
		return nil, err
	}
	recorded, err := s.orders.History(ctx, view.ID)
	if err != nil {
		return nil, forClient(err)
	}
	caller, _ := edge.Caller(ctx)
	return &ordersv1.GetOrderHistoryResponse{Events: historyProto(recorded, caller.Operator)}, nil
}

// owned reads an order that the caller may see. Another customer's order does
// not exist, as far as the caller can tell.
func (s *Server) owned(ctx context.Context, get func(context.Context, ids.ID) (order.View, error), orderID string) (order.View, error) {
	id, err := ids.Parse(orderID)
	if err != nil {
		return order.View{}, edge.FieldError("order_id", "is not a UUID of 36 characters")
	}
	telemetry.Label(ctx, slog.String("order_id", id.String()))
	about(ctx, id)
	view, err := get(ctx, id)
	if caller, _ := edge.Caller(ctx); err == nil && !caller.Operator && view.Customer != caller.Customer {
		err = order.ErrNotFound
	}
	if err != nil {
		return order.View{}, forClient(err)
	}
	return view, nil
}

// placement checks what the proto's rules can't and puts the request into one
// canonical form, of which the hash is taken.
func placement(ctx context.Context, req *ordersv1.PlaceOrderRequest) (order.Placement, error) {
	caller, _ := edge.Caller(ctx)
	key, err := idempotencyKey(ctx, caller.Customer)
	if err != nil {
		return order.Placement{}, err
	}
	wanted := make([]order.Wanted, len(req.GetLines()))
	for i, l := range req.GetLines() {
		wanted[i] = order.Wanted{SKU: l.GetSku(), Quantity: l.GetQuantity()}
	}
	wanted, refusal := order.FoldLines(wanted, maxQuantity)
	if refusal != nil {
		return order.Placement{}, forClient(refusal)
	}
	// Deterministic within one build is not enough for a hash that lives as long
	// as the order, but the messages here have no maps and no unknown fields:
	// their encoding is by field number, and stays so.
	canonical, err := proto.MarshalOptions{Deterministic: true}.Marshal(req)
	if err != nil {
		return order.Placement{}, err
	}
	hash := sha256.Sum256(canonical)
	p := order.Placement{
		Customer: caller.Customer, Key: key, RequestHash: hash[:], Wanted: wanted,
		Country: req.GetShipTo().GetCountry(), Recipient: recipient(req.GetShipTo()), Trace: message.TraceParent(ctx),
	}
	if e := req.GetExpectedTotal(); e != nil {
		p.Expected = &money.Money{Currency: e.GetCurrency(), Minor: e.GetMinorUnits()}
	}
	return p, nil
}

// idempotencyKey reads the header of draft-ietf-httpapi-idempotency-key-header
// and returns the hash of it, which differs by customer. Clients choose their keys,
// some take an e-mail address, and what is kept of a key lives in events that nobody
// can erase.
func idempotencyKey(ctx context.Context, customer string) (string, error) {
	const field = "Idempotency-Key"
	var key string
	if info, ok := connect.CallInfoForServerContext(ctx); ok {
		key = info.RequestHeader().Get(field)
	}
	switch {
	case key == "":
		return "", edge.FieldError(field, "header is required: a value of your own, the same for every retry of this order")
	case len(key) > maxKeyLength:
		return "", edge.FieldError(field, "header is longer than 255 characters")
	case strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }):
		return "", edge.FieldError(field, "header has characters that are not printable ASCII")
	}
	hash := sha256.Sum256([]byte(customer + "\n" + key)) // 00008_hash_keys.sql says the same
	key = base64.RawURLEncoding.EncodeToString(hash[:])
	telemetry.Label(ctx, slog.String("request_key", key[:12]))
	return key, nil
}

func pageToken(last ids.ID) string { return base64.RawURLEncoding.EncodeToString(last[:]) }

// parsePageToken reads the id to go on below; the first page goes on below all ids.
func parsePageToken(token string) (before ids.ID, err error) {
	if token == "" {
		for i := range before {
			before[i] = 0xff
		}
		return before, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		err = before.UnmarshalBinary(raw)
	}
	return before, err
}
