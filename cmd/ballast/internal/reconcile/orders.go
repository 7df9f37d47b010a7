package reconcile

import (
	"strings"

	"example.com/ballast/cmd/ballast/internal/api"
	ordersv1 "example.com/ballast/gen/orders/v1"
)

// Terminal tells whether an order has come to its end.
func Terminal(status ordersv1.OrderStatus) bool {
	switch status {
	case ordersv1.OrderStatus_ORDER_STATUS_CONFIRMED, ordersv1.OrderStatus_ORDER_STATUS_CANCELLED,
		ordersv1.OrderStatus_ORDER_STATUS_NEEDS_OPERATOR:
		return true
	default:
		return false
	}
}

// StatusName is a status without its prefix, in lower case.
func StatusName(status ordersv1.OrderStatus) string {
	return strings.ToLower(strings.TrimPrefix(status.String(), "ORDER_STATUS_"))
}

func confirmed(o *ordersv1.Order) bool {
	return o.GetStatus() == ordersv1.OrderStatus_ORDER_STATUS_CONFIRMED
}

func indexOrders(f *findings, books *Books) map[string]*ordersv1.Order {
	orders := make(map[string]*ordersv1.Order, len(books.Orders))
	for _, o := range books.Orders {
		if orders[o.GetOrderId()] != nil {
			f.add("orders", o.GetOrderId(), "is listed twice")
		}
		orders[o.GetOrderId()] = o
	}
	return orders
}

// checkOrders: what was acknowledged exists, is over, and adds up.
func checkOrders(f *findings, books *Books, orders map[string]*ordersv1.Order) {
	for _, id := range books.Accepted {
		if orders[id] == nil {
			f.add("orders", id, "was acknowledged but is not listed")
		}
	}
	for id, o := range orders {
		if !Terminal(o.GetStatus()) {
			f.add("orders", id, "is not terminal: %s", StatusName(o.GetStatus()))
		}
		var sum int64
		for _, line := range o.GetLines() {
			sum += int64(line.GetQuantity()) * line.GetUnitPrice().GetMinorUnits()
		}
		if total := o.GetTotal().GetMinorUnits(); sum != total {
			f.add("orders", id, "total is %d but the lines add up to %d", total, sum)
		}
	}
}

// balance is what one side says of an order's money, in minor units.
type balance struct {
	captures, refunds  int
	captured, refunded int64
	currency           string
}

// checkProvider compares the orders with the provider's book and returns the
// book's balances by order.
func checkProvider(f *findings, books *Books, orders map[string]*ordersv1.Order) map[string]*balance {
	book := map[string]*balance{}
	for _, line := range books.Book {
		b := book[line.OrderID]
		if b == nil {
			b = &balance{currency: line.Currency}
			book[line.OrderID] = b
		}
		if !strings.EqualFold(b.currency, line.Currency) {
			f.add("provider", line.OrderID, "moved in %s and in %s", b.currency, line.Currency)
		}
		switch line.Kind {
		case api.BookCaptured:
			b.captures++
			b.captured += line.Amount
		case api.BookRefunded:
			b.refunds++
			b.refunded += line.Amount
		}
	}
	for id, o := range orders {
		b := book[id]
		if b == nil {
			b = &balance{currency: o.GetTotal().GetCurrency()}
		}
		checkMoney(f, o, b)
	}
	for id, b := range book {
		if orders[id] == nil {
			f.add("provider", id, "the book has %d captured and %d refunded for an order that is not listed", b.captured, b.refunded)
		}
	}
	return book
}

// checkMoney holds one order to its balance in the provider's book.
func checkMoney(f *findings, o *ordersv1.Order, b *balance) {
	id, total := o.GetOrderId(), o.GetTotal()
	if !strings.EqualFold(b.currency, total.GetCurrency()) {
		f.add("provider", id, "the order is in %s, the book in %s", total.GetCurrency(), b.currency)
	}
	if !confirmed(o) {
		if b.captured != b.refunded {
			f.add("provider", id, "%s, but captured %d and refunded %d", StatusName(o.GetStatus()), b.captured, b.refunded)
		}
		return
	}
	if b.captures != 1 || b.captured != total.GetMinorUnits() || b.refunds != 0 {
		f.add("provider", id, "confirmed with total %d, but the book has %d captures of %d and %d refunds of %d",
			total.GetMinorUnits(), b.captures, b.captured, b.refunds, b.refunded)
	}
}
