package shoptest

import (
	"context"
	"maps"
	"slices"

	inventoryv1 "example.com/ballast/gen/inventory/v1"
	"example.com/ballast/gen/inventory/v1/inventoryv1connect"
	ordersv1 "example.com/ballast/gen/orders/v1"
	paymentsv1 "example.com/ballast/gen/payments/v1"
	"example.com/ballast/gen/payments/v1/paymentsv1connect"
)

type inventory struct {
	*Shop
	inventoryv1connect.UnimplementedInventoryServiceHandler
}

func (s inventory) UpsertProducts(_ context.Context, req *inventoryv1.UpsertProductsRequest) (*inventoryv1.UpsertProductsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range req.GetProducts() {
		s.prices[p.GetSku()] = p.GetPrice().GetMinorUnits()
	}
	return &inventoryv1.UpsertProductsResponse{Changed: int32(len(req.GetProducts()))}, nil
}

func (s inventory) ReceiveStock(_ context.Context, req *inventoryv1.ReceiveStockRequest) (*inventoryv1.ReceiveStockResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.receipts[req.GetReceiptId()] {
		return &inventoryv1.ReceiveStockResponse{}, nil
	}
	s.receipts[req.GetReceiptId()] = true
	for _, line := range req.GetLines() {
		s.received[line.GetSku()] += int64(line.GetQuantity())
	}
	return &inventoryv1.ReceiveStockResponse{Received: true}, nil
}

func (s inventory) ListStock(_ context.Context, req *inventoryv1.ListStockRequest) (*inventoryv1.ListStockResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var levels []*inventoryv1.StockLevel
	for _, sku := range slices.Sorted(maps.Keys(s.received)) {
		levels = append(levels, &inventoryv1.StockLevel{
			Sku: sku, Received: s.received[sku], Shipped: s.shipped[sku], Reserved: s.reserved[sku], OnHand: s.received[sku] - s.shipped[sku],
		})
	}
	page, next := turn(levels, req.GetPageToken(), 2)
	return &inventoryv1.ListStockResponse{Levels: page, NextPageToken: next}, nil
}

func (s inventory) ListReservations(_ context.Context, req *inventoryv1.ListReservationsRequest) (*inventoryv1.ListReservationsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*inventoryv1.Reservation
	for _, id := range slices.Sorted(maps.Keys(s.orders)) {
		r := &inventoryv1.Reservation{OrderId: id, Status: inventoryv1.ReservationStatus_RESERVATION_STATUS_RELEASED}
		if s.orders[id].GetStatus() == ordersv1.OrderStatus_ORDER_STATUS_CONFIRMED {
			r.Status = inventoryv1.ReservationStatus_RESERVATION_STATUS_SHIPPED
		}
		for _, line := range s.orders[id].GetLines() {
			r.Lines = append(r.Lines, &inventoryv1.StockLine{Sku: line.GetSku(), Quantity: line.GetQuantity()})
		}
		all = append(all, r)
	}
	page, next := turn(all, req.GetPageToken(), 2)
	return &inventoryv1.ListReservationsResponse{Reservations: page, NextPageToken: next}, nil
}

type payments struct {
	*Shop
	paymentsv1connect.UnimplementedPaymentServiceHandler
}

func (s payments) ListLedgerEntries(_ context.Context, req *paymentsv1.ListLedgerEntriesRequest) (*paymentsv1.ListLedgerEntriesResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	page, next := turn(s.ledger, req.GetPageToken(), 3)
	return &paymentsv1.ListLedgerEntriesResponse{Entries: page, NextPageToken: next}, nil
}
