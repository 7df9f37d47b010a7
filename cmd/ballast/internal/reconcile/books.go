// Package reconcile compares what the services, the ledger and the payment
// provider say about the same orders, from outside. The checks are pure: they
// look at books that were read before. They hold the platform to:
//
//   - orders: every order that was acknowledged exists, every order is
//     terminal (or waits for an operator by name), and its total is the sum of its lines;
//   - provider: in the provider's own book a confirmed order has exactly one
//     capture, of its total, and any other order has captured - refunded = 0;
//   - ledger: debits equal credits in each posting, and ledger and book agree both ways;
//   - stock: per SKU received = on hand + shipped, reserved = the open
//     reservations, shipped = the lines of confirmed orders, nothing is
//     negative, and nothing is held for an order that is over.
package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"example.com/ballast/cmd/ballast/internal/api"
	inventoryv1 "example.com/ballast/gen/inventory/v1"
	ordersv1 "example.com/ballast/gen/orders/v1"
	paymentsv1 "example.com/ballast/gen/payments/v1"
)

// Books are what each side says.
type Books struct {
	// Accepted are the orders that this client was told are placed.
	Accepted []string
	Orders   []*ordersv1.Order
	// Book are the provider's movements of money.
	Book         []api.BookLine
	Ledger       []*paymentsv1.LedgerEntry
	Stock        []*inventoryv1.StockLevel
	Reservations []*inventoryv1.Reservation
}

// Read reads all books over all pages. The reads are not one moment: on a
// stack that is working, what moves between two reads shows as a difference.
func Read(ctx context.Context, c *api.Client) (Books, error) {
	var books Books
	group, ctx := errgroup.WithContext(ctx)
	read := func(name string, f func() error) {
		group.Go(func() error {
			if err := f(); err != nil {
				return fmt.Errorf("read %s: %w", name, err)
			}
			return nil
		})
	}
	read("orders", func() error {
		return c.EachOrder(ctx, func(o *ordersv1.Order) { books.Orders = append(books.Orders, o) })
	})
	read("the provider's book", func() error {
		return c.EachBookLine(ctx, func(l api.BookLine) { books.Book = append(books.Book, l) })
	})
	read("ledger", func() error {
		return c.EachLedgerEntry(ctx, func(e *paymentsv1.LedgerEntry) { books.Ledger = append(books.Ledger, e) })
	})
	read("stock", func() error {
		return c.EachStockLevel(ctx, func(l *inventoryv1.StockLevel) { books.Stock = append(books.Stock, l) })
	})
	read("reservations", func() error {
		return c.EachReservation(ctx, func(r *inventoryv1.Reservation) { books.Reservations = append(books.Reservations, r) })
	})
	err := group.Wait()
	return books, err
}

// Difference is one thing on which two sides disagree.
type Difference struct {
	// Check is orders, provider, ledger or stock.
	Check string `json:"check"`
	// Subject is the order id or SKU.
	Subject string `json:"subject"`
	// Problem says what differs, with both figures.
	Problem string `json:"problem"`
}

// findings collects differences.
type findings struct{ list []Difference }

func (f *findings) add(check, subject, format string, args ...any) {
	f.list = append(f.list, Difference{Check: check, Subject: subject, Problem: fmt.Sprintf(format, args...)})
}

// Check runs every check. No difference means that the books agree.
func Check(books *Books) []Difference {
	var f findings
	orders := indexOrders(&f, books)
	checkOrders(&f, books, orders)
	book := checkProvider(&f, books, orders)
	checkLedger(&f, books, book)
	checkStock(&f, books, orders)
	checkReservations(&f, books, orders)
	slices.SortFunc(f.list, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(a.Check, b.Check), cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Problem, b.Problem))
	})
	return f.list
}
