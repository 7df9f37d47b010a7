package rpc

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "example.com/ballast/gen/inventory/v1"
	moneyv1 "example.com/ballast/gen/money/v1"
	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/money"
	"example.com/ballast/services/inventory/internal/stock"
)

// currency is the form of ISO 4217; which ones can be paid with is for payments
// to say.
var currency = regexp.MustCompile(`^[A-Z]{3}$`)

// productsIn checks what the proto's rules can't say, all products at once.
func productsIn(in []*inventoryv1.Product) ([]stock.Product, error) {
	products := make([]stock.Product, len(in))
	seen := make(map[string]bool, len(in))
	var violations []edge.Violation
	require := func(ok bool, i int, field, want string) {
		if !ok {
			violations = append(violations, edge.Violation{Field: fmt.Sprintf("products[%d].%s", i, field), Description: want})
		}
	}
	for i, p := range in {
		require(!seen[p.GetSku()], i, "sku", "each SKU only once")
		seen[p.GetSku()] = true
		require(!strings.ContainsRune(p.GetSku(), 0), i, "sku", "must not contain the character NUL")
		require(!strings.ContainsRune(p.GetDescription(), 0), i, "description", "must not contain the character NUL")
		require(currency.MatchString(p.GetPrice().GetCurrency()), i, "price.currency", "want three upper-case letters (ISO 4217)")
		require(p.GetPrice().GetMinorUnits() >= 0, i, "price.minor_units", "must not be negative")
		products[i] = stock.Product{
			SKU: p.GetSku(), Description: p.GetDescription(), Deleted: p.GetDeleted(),
			Price: money.Money{Currency: p.GetPrice().GetCurrency(), Minor: p.GetPrice().GetMinorUnits()},
		}
	}
	if len(violations) > 0 {
		return nil, edge.FieldErrors(violations...)
	}
	return products, nil
}

func productOut(p stock.Product) *inventoryv1.Product {
	return &inventoryv1.Product{
		Sku: p.SKU, Description: p.Description, Version: p.Version, Deleted: p.Deleted,
		Price: &moneyv1.Money{Currency: p.Price.Currency, MinorUnits: p.Price.Minor},
	}
}

// linesIn adds up the lines by SKU.
func linesIn(in []*inventoryv1.StockLine) ([]stock.Line, error) {
	lines := make([]stock.Line, len(in))
	var violations []edge.Violation
	for i, l := range in {
		if l.GetSku() == "" || strings.ContainsRune(l.GetSku(), 0) {
			violations = append(violations, edge.Violation{Field: fmt.Sprintf("lines[%d].sku", i), Description: "want a SKU without the character NUL"})
		}
		if l.GetQuantity() <= 0 {
			violations = append(violations, edge.Violation{Field: fmt.Sprintf("lines[%d].quantity", i), Description: "must be more than 0"})
		}
		lines[i] = stock.Line{SKU: l.GetSku(), Quantity: l.GetQuantity()}
	}
	if len(violations) > 0 {
		return nil, edge.FieldErrors(violations...)
	}
	folded, ok := stock.Fold(lines)
	if !ok {
		return nil, edge.FieldError("lines", "the sum of a SKU is larger than 2147483647")
	}
	return folded, nil
}

var statuses = map[stock.Status]inventoryv1.ReservationStatus{
	stock.StatusReserved: inventoryv1.ReservationStatus_RESERVATION_STATUS_RESERVED,
	stock.StatusRejected: inventoryv1.ReservationStatus_RESERVATION_STATUS_REJECTED,
	stock.StatusReleased: inventoryv1.ReservationStatus_RESERVATION_STATUS_RELEASED,
}

// reservationOut leaves the status unspecified for an order that only a shipment
// was asked for: nothing was reserved or refused.
func reservationOut(r *stock.Reservation, updated time.Time) *inventoryv1.Reservation {
	out := &inventoryv1.Reservation{
		OrderId: uuid.UUID(r.OrderID).String(), Status: statuses[r.Status], UpdateTime: timestamppb.New(updated),
	}
	if r.Shipped() {
		out.Status = inventoryv1.ReservationStatus_RESERVATION_STATUS_SHIPPED
	}
	for _, l := range r.Lines {
		out.Lines = append(out.Lines, &inventoryv1.StockLine{Sku: l.SKU, Quantity: l.Quantity})
	}
	return out
}
