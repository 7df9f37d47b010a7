package rpc_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "example.com/ballast/gen/inventory/v1"
	moneyv1 "example.com/ballast/gen/money/v1"
	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/money"
	"example.com/ballast/services/inventory/internal/rpc"
	"example.com/ballast/services/inventory/internal/stock"
)

// fake is a store with two rows of everything, and a cache that knows them too.
type fake struct {
	err       error
	upserted  []stock.Product
	forgotten []stock.Product
	received  []stock.Line
}

var (
	products     = []stock.Product{{SKU: "A", Price: money.Money{Currency: "GBP", Minor: 5}, Version: 3}, {SKU: "B", Deleted: true}}
	levels       = []stock.Level{{SKU: "A", OnHand: 3, Reserved: 1, Received: 4, Shipped: 1}, {SKU: "B"}}
	reservations = []stock.Reservation{
		{
			OrderID: stock.OrderID{15: 1}, Status: stock.StatusReserved, Lines: []stock.Line{{SKU: "A", Quantity: 2}},
			Shipment: stock.Shipment{Status: stock.ShipmentScheduled},
		},
		{OrderID: stock.OrderID{15: 2}, Status: stock.StatusReleased},
	}
)

func after[T any](all []T, limit int, behind func(T) bool) (page []T) {
	for _, v := range all {
		if behind(v) && len(page) < limit {
			page = append(page, v)
		}
	}
	return page
}

func (f *fake) Products(_ context.Context, token string, limit int) ([]stock.Product, error) {
	return after(products, limit, func(p stock.Product) bool { return p.SKU > token }), f.err
}

func (f *fake) Levels(_ context.Context, token string, limit int) ([]stock.Level, error) {
	return after(levels, limit, func(l stock.Level) bool { return l.SKU > token }), f.err
}

func (f *fake) Reservations(_ context.Context, token stock.OrderID, limit int) ([]stock.Reservation, []time.Time, error) {
	page := after(reservations, limit, func(r stock.Reservation) bool { return string(r.OrderID[:]) > string(token[:]) })
	return page, make([]time.Time, len(page)), f.err
}

func (f *fake) UpsertProducts(_ context.Context, products []stock.Product) ([]stock.Product, error) {
	f.upserted = products
	return products, f.err
}

func (f *fake) Receive(_ context.Context, _ string, lines []stock.Line) (bool, error) {
	f.received = lines
	return true, f.err
}

func (f *fake) Product(context.Context, string) (stock.Product, error) { return products[0], f.err }

func (f *fake) Changed(_ context.Context, products []stock.Product) { f.forgotten = products }

func as(t *testing.T, operator bool) context.Context {
	t.Helper()
	return edge.WithCaller(t.Context(), edge.Identity{Customer: "c", Operator: operator})
}

func TestOperatorsOnly(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := rpc.NewServer(f, f)
	calls := map[string]func(context.Context) error{
		"UpsertProducts": func(ctx context.Context) error {
			_, err := s.UpsertProducts(ctx, &inventoryv1.UpsertProductsRequest{})
			return err
		},
		"ReceiveStock": func(ctx context.Context) error {
			_, err := s.ReceiveStock(ctx, &inventoryv1.ReceiveStockRequest{})
			return err
		},
		"ListStock": func(ctx context.Context) error {
			_, err := s.ListStock(ctx, &inventoryv1.ListStockRequest{})
			return err
		},
		"ListReservations": func(ctx context.Context) error {
			_, err := s.ListReservations(ctx, &inventoryv1.ListReservationsRequest{})
			return err
		},
	}
	for name, call := range calls {
		if err := call(as(t, false)); connect.CodeOf(err) != connect.CodePermissionDenied {
			t.Errorf("%s by a customer gave %v", name, err)
		}
		if err := call(as(t, true)); err != nil {
			t.Errorf("%s by an operator gave %v", name, err)
		}
	}
	if f.received == nil || f.upserted == nil {
		t.Error("the operator's writes did not reach the store")
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := rpc.NewServer(f, f)
	ctx := as(t, true)
	first, err := s.ListProducts(ctx, &inventoryv1.ListProductsRequest{PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	want := &inventoryv1.ListProductsResponse{
		Products:      []*inventoryv1.Product{{Sku: "A", Version: 3, Price: &moneyv1.Money{Currency: "GBP", MinorUnits: 5}}},
		NextPageToken: "A",
	}
	if diff := cmp.Diff(want, first, protocmp.Transform()); diff != "" {
		t.Errorf("first page of products (-want +got):\n%s", diff)
	}
	last, err := s.ListProducts(ctx, &inventoryv1.ListProductsRequest{PageToken: "A"})
	if err != nil || len(last.GetProducts()) != 1 || last.GetNextPageToken() != "" {
		t.Errorf("last page of products: %v, %v", last, err)
	}
	stocks, err := s.ListStock(ctx, &inventoryv1.ListStockRequest{PageSize: 2})
	if err != nil || len(stocks.GetLevels()) != 2 || stocks.GetNextPageToken() != "B" {
		t.Errorf("page of levels: %v, %v", stocks, err)
	}
	all, err := s.ListReservations(ctx, &inventoryv1.ListReservationsRequest{PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&inventoryv1.ListReservationsResponse{
		Reservations: []*inventoryv1.Reservation{{
			OrderId: "00000000-0000-0000-0000-000000000001", Status: inventoryv1.ReservationStatus_RESERVATION_STATUS_SHIPPED,
			Lines: []*inventoryv1.StockLine{{Sku: "A", Quantity: 2}}, UpdateTime: timestamppb.New(time.Time{}),
		}},
		NextPageToken: "00000000-0000-0000-0000-000000000001",
	}, all, protocmp.Transform()); diff != "" {
		t.Errorf("first page of reservations (-want +got):\n%s", diff)
	}
	all, err = s.ListReservations(ctx, &inventoryv1.ListReservationsRequest{PageToken: all.GetNextPageToken()})
	if err != nil || len(all.GetReservations()) != 1 || all.GetReservations()[0].GetStatus() != inventoryv1.ReservationStatus_RESERVATION_STATUS_RELEASED {
		t.Errorf("last page of reservations: %v, %v", all, err)
	}
}

func TestUpsertChecksAllProducts(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := rpc.NewServer(f, f)
	gbp := &moneyv1.Money{Currency: "GBP", MinorUnits: 1}
	_, err := s.UpsertProducts(as(t, true), &inventoryv1.UpsertProductsRequest{Products: []*inventoryv1.Product{
		{Sku: "A", Price: gbp},
		{Sku: "A", Price: gbp},
		{Sku: "B\x00", Price: gbp},
		{Sku: "C", Price: &moneyv1.Money{Currency: "gbp", MinorUnits: -1}, Description: "\x00"},
	}})
	for _, want := range []string{
		"products[1].sku: each SKU only once", "products[2].sku: must not", "products[3].description: must not",
		"products[3].price.currency: want", "products[3].price.minor_units: must not",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
	if f.upserted != nil || f.forgotten != nil {
		t.Error("something was written")
	}
	if _, err := s.UpsertProducts(as(t, true), &inventoryv1.UpsertProductsRequest{Products: []*inventoryv1.Product{{Sku: "A", Price: gbp}}}); err != nil {
		t.Fatal(err)
	}
	if len(f.forgotten) != 1 {
		t.Errorf("the cache was told to forget %v", f.forgotten)
	}
}

func TestReceiveFoldsAndChecksLines(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := rpc.NewServer(f, f)
	receive := func(lines ...*inventoryv1.StockLine) error {
		_, err := s.ReceiveStock(as(t, true), &inventoryv1.ReceiveStockRequest{ReceiptId: "r", Lines: lines})
		return err
	}
	for want, lines := range map[string][]*inventoryv1.StockLine{
		"lines[1].quantity: must be more than 0": {{Sku: "A", Quantity: 1}, {Sku: "B"}},
		"lines[0].sku: want a SKU":               {{Quantity: 1}},
		"lines: the sum of a SKU":                {{Sku: "A", Quantity: 1 << 30}, {Sku: "A", Quantity: 1 << 30}},
	} {
		if err := receive(lines...); connect.CodeOf(err) != connect.CodeInvalidArgument || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if err := receive(&inventoryv1.StockLine{Sku: "B", Quantity: 1}, &inventoryv1.StockLine{Sku: "A", Quantity: 1}, &inventoryv1.StockLine{Sku: "B", Quantity: 2}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]stock.Line{{SKU: "A", Quantity: 1}, {SKU: "B", Quantity: 3}}, f.received); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, tt := range map[string]struct {
		err  error
		code connect.Code
		text string
	}{
		"unknown product": {stock.ErrUnknownProduct, connect.CodeNotFound, "no product has this SKU"},
		"unknown SKUs":    {stock.UnknownSKUs{"X", "Y"}, connect.CodeFailedPrecondition, "unknown products: X, Y: create them first"},
		"receipt reused":  {stock.ErrReceiptReused, connect.CodeFailedPrecondition, "give each delivery an id of its own"},
		"anything else":   {broken, connect.CodeUnknown, "broken"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fake{err: tt.err}
			s := rpc.NewServer(f, f)
			_, get := s.GetProduct(as(t, false), &inventoryv1.GetProductRequest{Sku: "A"})
			_, receive := s.ReceiveStock(as(t, true), &inventoryv1.ReceiveStockRequest{})
			for _, err := range []error{get, receive} {
				if connect.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("error %v, want %v with %q", err, tt.code, tt.text)
				}
			}
		})
	}
	f := &fake{}
	s := rpc.NewServer(f, f)
	if _, err := s.ListReservations(as(t, true), &inventoryv1.ListReservationsRequest{PageToken: "x"}); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("a bad page token gave %v", err)
	}
	if _, err := s.GetProduct(as(t, false), &inventoryv1.GetProductRequest{Sku: "\x00"}); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("NUL gave %v", err)
	}
}
