package reconcile

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/cmd/ballast/internal/api"
	inventoryv1 "example.com/ballast/gen/inventory/v1"
	moneyv1 "example.com/ballast/gen/money/v1"
	ordersv1 "example.com/ballast/gen/orders/v1"
	paymentsv1 "example.com/ballast/gen/payments/v1"
)

// Orders of the books below.
const (
	sold     = "sold"     // confirmed: two of A, one of B, 700
	declined = "declined" // cancelled before any money moved
	undone   = "undone"   // cancelled after the charge, refunded
)

func gbp(minor int64) *moneyv1.Money { return &moneyv1.Money{Currency: "GBP", MinorUnits: minor} }

func order(id string, status ordersv1.OrderStatus) *ordersv1.Order {
	return &ordersv1.Order{OrderId: id, Status: status, Total: gbp(700), Lines: []*ordersv1.OrderLine{
		{Sku: "A", Quantity: 2, UnitPrice: gbp(200)}, {Sku: "B", Quantity: 1, UnitPrice: gbp(300)},
	}}
}

func reservation(id string, status inventoryv1.ReservationStatus) *inventoryv1.Reservation {
	return &inventoryv1.Reservation{OrderId: id, Status: status, Lines: []*inventoryv1.StockLine{{Sku: "A", Quantity: 2}, {Sku: "B", Quantity: 1}}}
}

func posting(id, kind string, amount int64) []*paymentsv1.LedgerEntry {
	return []*paymentsv1.LedgerEntry{
		{OrderId: id, Kind: kind, Account: accountReceivable, Amount: gbp(amount)},
		{OrderId: id, Kind: kind, Account: "customer_payments", Amount: gbp(-amount)},
	}
}

// agreeing returns books without a difference.
func agreeing() *Books {
	b := &Books{
		Accepted: []string{sold, declined, undone},
		Orders: []*ordersv1.Order{
			order(sold, ordersv1.OrderStatus_ORDER_STATUS_CONFIRMED),
			order(declined, ordersv1.OrderStatus_ORDER_STATUS_CANCELLED),
			order(undone, ordersv1.OrderStatus_ORDER_STATUS_CANCELLED),
		},
		Book: []api.BookLine{
			{Kind: api.BookCaptured, OrderID: sold, Amount: 700, Currency: "gbp"},
			{Kind: api.BookCaptured, OrderID: undone, Amount: 700, Currency: "gbp"},
			{Kind: api.BookRefunded, OrderID: undone, Amount: 700, Currency: "gbp"},
		},
		Stock: []*inventoryv1.StockLevel{
			{Sku: "A", Received: 10, OnHand: 8, Shipped: 2},
			{Sku: "B", Received: 10, OnHand: 9, Shipped: 1},
			{Sku: "C", Received: 5, OnHand: 5},
		},
		Reservations: []*inventoryv1.Reservation{
			reservation(sold, inventoryv1.ReservationStatus_RESERVATION_STATUS_SHIPPED),
			reservation(undone, inventoryv1.ReservationStatus_RESERVATION_STATUS_RELEASED),
		},
	}
	b.Ledger = append(b.Ledger, posting(sold, kindCharge, 700)...)
	b.Ledger = append(b.Ledger, posting(undone, kindCharge, 700)...)
	b.Ledger = append(b.Ledger, posting(undone, kindRefund, -700)...)
	return b
}

func TestAgreeingBooksHaveNoDifference(t *testing.T) {
	t.Parallel()
	if got := Check(agreeing()); len(got) != 0 {
		t.Error(got)
	}
}

// TestEachCheckCatchesItsOwn seeds one difference at a time. The problems that
// must be reported are named, and no others may be.
func TestEachCheckCatchesItsOwn(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		seed func(*Books)
		want []string // "check subject: part of the problem"
	}{
		"an acknowledged order is lost": {
			func(b *Books) { b.Accepted = append(b.Accepted, "lost") },
			[]string{"orders lost: not listed"},
		},
		"an order is listed twice": {
			func(b *Books) { b.Orders = append(b.Orders, b.Orders[1]) },
			[]string{"orders declined: listed twice"},
		},
		"an order hangs": {
			func(b *Books) { b.Orders[1].Status = ordersv1.OrderStatus_ORDER_STATUS_CANCELLING },
			[]string{"orders declined: cancelling"},
		},
		"a total is not the sum of its lines": {
			func(b *Books) { b.Orders[1].Total.MinorUnits++ },
			[]string{"orders declined: add up to 700"},
		},
		"an order waits for its operator with its books in order": {
			func(b *Books) { b.Orders[1].Status = ordersv1.OrderStatus_ORDER_STATUS_NEEDS_OPERATOR },
			nil,
		},
		"an order waits for its operator with money taken": {
			func(b *Books) {
				b.Orders[1].Status = ordersv1.OrderStatus_ORDER_STATUS_NEEDS_OPERATOR
				b.Book = append(b.Book, api.BookLine{Kind: api.BookCaptured, OrderID: declined, Amount: 700, Currency: "gbp"})
				b.Ledger = append(b.Ledger, posting(declined, kindCharge, 700)...)
			},
			[]string{"provider declined: captured 700 and refunded 0"},
		},
		"a confirmed order was never charged": {
			func(b *Books) { b.Book, b.Ledger = b.Book[1:], b.Ledger[2:] },
			[]string{"provider sold: 0 captures"},
		},
		"a confirmed order was charged twice": {
			func(b *Books) {
				b.Book = append(b.Book, b.Book[0])
				b.Ledger = append(b.Ledger, posting(sold, kindCharge, 700)...)
			},
			[]string{"provider sold: 2 captures of 1400"},
		},
		"a confirmed order was charged another amount": {
			func(b *Books) {
				b.Book[0].Amount = 699
				b.Ledger[0].Amount, b.Ledger[1].Amount = gbp(699), gbp(-699)
			},
			[]string{"provider sold: 1 captures of 699"},
		},
		"a confirmed order was refunded": {
			func(b *Books) {
				b.Book = append(b.Book, api.BookLine{Kind: api.BookRefunded, OrderID: sold, Amount: 700, Currency: "gbp"})
				b.Ledger = append(b.Ledger, posting(sold, kindRefund, -700)...)
			},
			[]string{"provider sold: 1 refunds of 700"},
		},
		"a confirmed order was charged in another currency": {
			func(b *Books) {
				b.Book[0].Currency = "eur"
				b.Ledger[0].Amount.Currency, b.Ledger[1].Amount.Currency = "EUR", "EUR"
			},
			[]string{"provider sold: in GBP, the book in eur"},
		},
		"a charge was posted in another currency": {
			func(b *Books) { b.Ledger[0].Amount.Currency, b.Ledger[1].Amount.Currency = "EUR", "EUR" },
			[]string{"ledger sold: in EUR, the provider's book in gbp"},
		},
		"a charge was posted to an account that nobody knows": {
			func(b *Books) { b.Ledger[1].Account = "petty_cash" },
			[]string{"ledger sold: unknown account"},
		},
		"a cancelled order kept the money": {
			func(b *Books) { b.Book, b.Ledger = b.Book[:2], b.Ledger[:4] },
			[]string{"provider undone: captured 700 and refunded 0"},
		},
		"money was taken for an order that nobody knows": {
			func(b *Books) {
				b.Book = append(b.Book, api.BookLine{Kind: api.BookCaptured, OrderID: "ghost", Amount: 5, Currency: "gbp"})
				b.Ledger = append(b.Ledger, posting("ghost", kindCharge, 5)...)
			},
			[]string{"provider ghost: not listed"},
		},
		"the ledger misses a capture": {
			func(b *Books) { b.Ledger = b.Ledger[2:] },
			[]string{"ledger sold: 0 charges of 0"},
		},
		"the ledger posted a charge twice": {
			func(b *Books) { b.Ledger = append(b.Ledger, posting(sold, kindCharge, 700)...) },
			[]string{"ledger sold: 2 charges of 1400"},
		},
		"the ledger has what the book has not": {
			func(b *Books) { b.Ledger = append(b.Ledger, posting(declined, kindCharge, 700)...) },
			[]string{"ledger declined: the provider's book nothing"},
		},
		"one side of a posting is missing": {
			func(b *Books) { b.Ledger = append(b.Ledger[:1], b.Ledger[2:]...) },
			[]string{"ledger all: debits are 2100, credits 1400", "ledger sold: charge does not add up to zero but to 700"},
		},
		"an entry of a kind that nobody knows": {
			func(b *Books) { b.Ledger = append(b.Ledger, posting(sold, "gift", 1)...) },
			[]string{`ledger sold: unknown kind "gift"`},
		},
		"units vanished": {
			func(b *Books) { b.Stock[0].OnHand-- },
			[]string{"stock A: received 10, but on hand 7 + shipped 2"},
		},
		"stock went below zero": {
			func(b *Books) { b.Stock[2].Received, b.Stock[2].OnHand = -1, -1 },
			[]string{"stock C: negative", "stock C: reserved 0 of -1"},
		},
		"reserved without a reservation": {
			func(b *Books) { b.Stock[0].Reserved = 1 },
			[]string{"stock A: reserved is 1, the open reservations add up to 0"},
		},
		"more is reserved than there is": {
			func(b *Books) {
				b.Stock[2].Reserved = 6
				b.Orders[1].Status = ordersv1.OrderStatus_ORDER_STATUS_PLACED
				b.Reservations = append(b.Reservations, &inventoryv1.Reservation{
					OrderId: declined, Status: inventoryv1.ReservationStatus_RESERVATION_STATUS_RESERVED,
					Lines: []*inventoryv1.StockLine{{Sku: "C", Quantity: 6}},
				})
			},
			[]string{"orders declined: placed", "stock C: reserved 6 of 5"},
		},
		"a dead order holds units": {
			func(b *Books) {
				b.Stock[0].Reserved, b.Stock[1].Reserved = 2, 1
				b.Reservations[1].Status = inventoryv1.ReservationStatus_RESERVATION_STATUS_RESERVED
			},
			[]string{"stock undone: held for an order that is cancelled"},
		},
		"units are held for an order that nobody knows": {
			func(b *Books) {
				b.Stock[0].Reserved, b.Stock[1].Reserved = 2, 1
				b.Reservations = append(b.Reservations, reservation("ghost", inventoryv1.ReservationStatus_RESERVATION_STATUS_RESERVED))
			},
			[]string{"stock ghost: not listed"},
		},
		"a cancelled order was shipped": {
			func(b *Books) {
				b.Stock[0].Shipped, b.Stock[0].OnHand = 4, 6
				b.Stock[1].Shipped, b.Stock[1].OnHand = 2, 8
				b.Reservations[1].Status = inventoryv1.ReservationStatus_RESERVATION_STATUS_SHIPPED
			},
			[]string{
				"stock A: shipped is 4, the confirmed orders add up to 2", "stock B: shipped is 2, the confirmed orders add up to 1",
				"stock undone: was shipped but is cancelled",
			},
		},
		"a confirmed order was not shipped": {
			func(b *Books) {
				b.Stock[0].Shipped, b.Stock[0].OnHand = 0, 10
				b.Stock[1].Shipped, b.Stock[1].OnHand = 0, 10
				b.Reservations[0].Status = inventoryv1.ReservationStatus_RESERVATION_STATUS_RELEASED
			},
			[]string{
				"stock A: shipped is 0, the confirmed orders add up to 2", "stock B: shipped is 0, the confirmed orders add up to 1",
				"stock sold: its reservation is released", "stock sold: nothing was shipped",
			},
		},
		"a confirmed order was shipped with other lines": {
			func(b *Books) { b.Reservations[0].Lines[0].Quantity = 3 },
			[]string{"stock sold: other lines than ordered"},
		},
		"a SKU was sold that has no stock level": {
			func(b *Books) { b.Stock = b.Stock[1:] },
			[]string{"stock A: 2 units were sold of a SKU without a stock level"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			books := agreeing()
			test.seed(books)
			got := Check(books)
			if len(got) != len(test.want) {
				t.Fatalf("%d differences, want %d:\n%s", len(got), len(test.want), cmp.Diff(test.want, got))
			}
			for i, d := range got {
				head, part, _ := strings.Cut(test.want[i], ": ")
				if d.Check+" "+d.Subject != head || !strings.Contains(d.Problem, part) {
					t.Errorf("difference %d is %+v, want %q", i, d, test.want[i])
				}
			}
		})
	}
}
