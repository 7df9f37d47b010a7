package reconcile

import (
	"strings"

	inventoryv1 "example.com/ballast/gen/inventory/v1"
	ordersv1 "example.com/ballast/gen/orders/v1"
)

// checkStock adds up each SKU.
func checkStock(f *findings, books *Books, orders map[string]*ordersv1.Order) {
	held, sold := map[string]int64{}, map[string]int64{}
	for _, r := range books.Reservations {
		if r.GetStatus() != inventoryv1.ReservationStatus_RESERVATION_STATUS_RESERVED {
			continue
		}
		for _, line := range r.GetLines() {
			held[line.GetSku()] += int64(line.GetQuantity())
		}
	}
	for _, o := range orders {
		if !confirmed(o) {
			continue
		}
		for _, line := range o.GetLines() {
			sold[line.GetSku()] += int64(line.GetQuantity())
		}
	}
	for _, level := range books.Stock {
		sku := level.GetSku()
		checkLevel(f, level)
		if level.GetReserved() != held[sku] {
			f.add("stock", sku, "reserved is %d, the open reservations add up to %d", level.GetReserved(), held[sku])
		}
		if level.GetShipped() != sold[sku] {
			f.add("stock", sku, "shipped is %d, the confirmed orders add up to %d", level.GetShipped(), sold[sku])
		}
		delete(held, sku)
		delete(sold, sku)
	}
	for sku, units := range held {
		f.add("stock", sku, "%d units are reserved of a SKU without a stock level", units)
	}
	for sku, units := range sold {
		f.add("stock", sku, "%d units were sold of a SKU without a stock level", units)
	}
}

// checkLevel holds one level to its own arithmetic.
func checkLevel(f *findings, level *inventoryv1.StockLevel) {
	sku := level.GetSku()
	if level.GetReceived() != level.GetOnHand()+level.GetShipped() {
		f.add("stock", sku, "received %d, but on hand %d + shipped %d", level.GetReceived(), level.GetOnHand(), level.GetShipped())
	}
	if level.GetOnHand() < 0 || level.GetReserved() < 0 || level.GetReceived() < 0 || level.GetShipped() < 0 {
		f.add("stock", sku, "negative: on hand %d, reserved %d, received %d, shipped %d",
			level.GetOnHand(), level.GetReserved(), level.GetReceived(), level.GetShipped())
	}
	if level.GetReserved() > level.GetOnHand() {
		f.add("stock", sku, "reserved %d of %d on hand", level.GetReserved(), level.GetOnHand())
	}
}

// checkReservations: an order that is over holds nothing, a confirmed one has
// shipped exactly its lines, and no reservation is without an order.
func checkReservations(f *findings, books *Books, orders map[string]*ordersv1.Order) {
	shipped := map[string]bool{}
	for _, r := range books.Reservations {
		id := r.GetOrderId()
		o := orders[id]
		status := strings.ToLower(strings.TrimPrefix(r.GetStatus().String(), "RESERVATION_STATUS_"))
		switch r.GetStatus() {
		case inventoryv1.ReservationStatus_RESERVATION_STATUS_RESERVED:
			if o == nil {
				f.add("stock", id, "units are held for an order that is not listed")
			} else if Terminal(o.GetStatus()) {
				f.add("stock", id, "units are held for an order that is %s", StatusName(o.GetStatus()))
			}
		case inventoryv1.ReservationStatus_RESERVATION_STATUS_SHIPPED:
			shipped[id] = true
			if o == nil {
				f.add("stock", id, "was shipped but is not listed")
			} else if Terminal(o.GetStatus()) && !confirmed(o) {
				f.add("stock", id, "was shipped but is %s", StatusName(o.GetStatus()))
			} else if !sameLines(o.GetLines(), r.GetLines()) {
				f.add("stock", id, "was shipped with other lines than ordered")
			}
		default:
			if o != nil && confirmed(o) {
				f.add("stock", id, "is confirmed but its reservation is %s", status)
			}
		}
	}
	for id, o := range orders {
		if confirmed(o) && !shipped[id] {
			f.add("stock", id, "is confirmed but nothing was shipped")
		}
	}
}

func sameLines(ordered []*ordersv1.OrderLine, shipped []*inventoryv1.StockLine) bool {
	units := map[string]int64{}
	for _, line := range ordered {
		units[line.GetSku()] += int64(line.GetQuantity())
	}
	for _, line := range shipped {
		units[line.GetSku()] -= int64(line.GetQuantity())
	}
	for _, left := range units {
		if left != 0 {
			return false
		}
	}
	return true
}
