// Package rpc serves inventory's API: the catalogue to every customer, the rest
// to operators.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/google/uuid"

	inventoryv1 "example.com/ballast/gen/inventory/v1"
	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/ids"
	"example.com/ballast/services/inventory/internal/stock"
)

// Store is what the API needs of the database.
type Store interface {
	Products(ctx context.Context, after string, limit int) ([]stock.Product, error)
	UpsertProducts(ctx context.Context, products []stock.Product) (changed []stock.Product, err error)
	Receive(ctx context.Context, receiptID string, lines []stock.Line) (received bool, err error)
	Levels(ctx context.Context, after string, limit int) ([]stock.Level, error)
	Reservations(ctx context.Context, after stock.OrderID, limit int) ([]stock.Reservation, []time.Time, error)
}

// Cache is where single products are read.
type Cache interface {
	Product(ctx context.Context, sku string) (stock.Product, error)
	// Changed forgets products after their change is committed.
	Changed(ctx context.Context, products []stock.Product)
}

// Server implements inventory.v1.InventoryService.
type Server struct {
	store Store
	cache Cache
}

// NewServer returns a Server.
func NewServer(store Store, cache Cache) *Server { return &Server{store: store, cache: cache} }

// Page sizes when the request names none, as the proto says.
const (
	productsPage     = 100
	levelsPage       = 1000
	reservationsPage = 500
)

// GetProduct implements the RPC.
func (s *Server) GetProduct(ctx context.Context, req *inventoryv1.GetProductRequest) (*inventoryv1.GetProductResponse, error) {
	if err := noNUL("sku", req.GetSku()); err != nil {
		return nil, err
	}
	p, err := s.cache.Product(ctx, req.GetSku())
	if err != nil {
		return nil, mapError(err)
	}
	return &inventoryv1.GetProductResponse{Product: productOut(p)}, nil
}

// ListProducts implements the RPC.
func (s *Server) ListProducts(ctx context.Context, req *inventoryv1.ListProductsRequest) (*inventoryv1.ListProductsResponse, error) {
	if err := noNUL("page_token", req.GetPageToken()); err != nil {
		return nil, err
	}
	limit := pageSize(req.GetPageSize(), productsPage)
	page, err := s.store.Products(ctx, req.GetPageToken(), limit)
	if err != nil {
		return nil, mapError(err)
	}
	res := &inventoryv1.ListProductsResponse{}
	for _, p := range page {
		res.Products = append(res.Products, productOut(p))
	}
	if len(page) == limit {
		res.NextPageToken = page[limit-1].SKU
	}
	return res, nil
}

// UpsertProducts implements the RPC.
func (s *Server) UpsertProducts(ctx context.Context, req *inventoryv1.UpsertProductsRequest) (*inventoryv1.UpsertProductsResponse, error) {
	if err := edge.RequireOperator(ctx); err != nil {
		return nil, err
	}
	products, err := productsIn(req.GetProducts())
	if err != nil {
		return nil, err
	}
	changed, err := s.store.UpsertProducts(ctx, products)
	if err != nil {
		return nil, mapError(err)
	}
	s.cache.Changed(ctx, changed)
	return &inventoryv1.UpsertProductsResponse{Changed: int32(len(changed))}, nil //nolint:gosec // at most 5,000
}

// ReceiveStock implements the RPC.
func (s *Server) ReceiveStock(ctx context.Context, req *inventoryv1.ReceiveStockRequest) (*inventoryv1.ReceiveStockResponse, error) {
	if err := edge.RequireOperator(ctx); err != nil {
		return nil, err
	}
	if err := noNUL("receipt_id", req.GetReceiptId()); err != nil {
		return nil, err
	}
	lines, err := linesIn(req.GetLines())
	if err != nil {
		return nil, err
	}
	received, err := s.store.Receive(ctx, req.GetReceiptId(), lines)
	if err != nil {
		return nil, mapError(err)
	}
	return &inventoryv1.ReceiveStockResponse{Received: received}, nil
}

// ListStock implements the RPC.
func (s *Server) ListStock(ctx context.Context, req *inventoryv1.ListStockRequest) (*inventoryv1.ListStockResponse, error) {
	if err := edge.RequireOperator(ctx); err != nil {
		return nil, err
	}
	if err := noNUL("page_token", req.GetPageToken()); err != nil {
		return nil, err
	}
	limit := pageSize(req.GetPageSize(), levelsPage)
	page, err := s.store.Levels(ctx, req.GetPageToken(), limit)
	if err != nil {
		return nil, mapError(err)
	}
	res := &inventoryv1.ListStockResponse{}
	for _, l := range page {
		res.Levels = append(res.Levels, &inventoryv1.StockLevel{
			Sku: l.SKU, OnHand: l.OnHand, Reserved: l.Reserved, Received: l.Received, Shipped: l.Shipped,
		})
	}
	if len(page) == limit {
		res.NextPageToken = page[limit-1].SKU
	}
	return res, nil
}

// ListReservations implements the RPC.
func (s *Server) ListReservations(ctx context.Context, req *inventoryv1.ListReservationsRequest) (*inventoryv1.ListReservationsResponse, error) {
	if err := edge.RequireOperator(ctx); err != nil {
		return nil, err
	}
	var after uuid.UUID
	if token := req.GetPageToken(); token != "" {
		var err error
		if after, err = ids.Parse(token); err != nil {
			return nil, edge.FieldError("page_token", "want the next_page_token of the page before")
		}
	}
	limit := pageSize(req.GetPageSize(), reservationsPage)
	page, updated, err := s.store.Reservations(ctx, stock.OrderID(after), limit)
	if err != nil {
		return nil, mapError(err)
	}
	res := &inventoryv1.ListReservationsResponse{}
	for i := range page {
		res.Reservations = append(res.Reservations, reservationOut(&page[i], updated[i]))
	}
	if len(page) == limit {
		res.NextPageToken = uuid.UUID(page[limit-1].OrderID).String()
	}
	return res, nil
}

func pageSize(asked, otherwise int32) int {
	if asked == 0 {
		return int(otherwise)
	}
	return int(asked)
}

// noNUL refuses the one character that Postgres has no text for.
func noNUL(field, value string) error {
	if strings.ContainsRune(value, 0) {
		return edge.FieldError(field, "must not contain the character NUL")
	}
	return nil
}

// mapError is the one mapping from the domain's errors to the client's. The edge
// turns what is not mapped into Internal and logs it.
func mapError(err error) error {
	if unknown, ok := errors.AsType[stock.UnknownSKUs](err); ok {
		return edge.Error(connect.CodeFailedPrecondition, fmt.Sprintf("%s: create them first, with UpsertProducts", unknown),
			"UNKNOWN_SKU", map[string]string{"skus": strings.Join(unknown, ",")})
	}
	switch {
	case errors.Is(err, stock.ErrUnknownProduct):
		return edge.Error(connect.CodeNotFound, "no product has this SKU", "UNKNOWN_SKU", nil)
	case errors.Is(err, stock.ErrReceiptReused):
		return edge.Error(connect.CodeFailedPrecondition,
			"this receipt id was used for a delivery with other lines: give each delivery an id of its own", "RECEIPT_ID_REUSED", nil)
	}
	return err
}
