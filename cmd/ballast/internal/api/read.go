package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"connectrpc.com/connect/v2"

	inventoryv1 "example.com/ballast/gen/inventory/v1"
	ordersv1 "example.com/ballast/gen/orders/v1"
	paymentsv1 "example.com/ballast/gen/payments/v1"
)

// Page sizes: the largest that the services allow.
const (
	ordersPage       = 500
	ledgerPage       = 5000
	stockPage        = 5000
	reservationsPage = 1000
)

// Place places an order as its customer under an idempotency key. It is
// repeated with the same key until the answer is definite.
func (c *Client) Place(ctx context.Context, customer, key string, req *ordersv1.PlaceOrderRequest) (*ordersv1.Order, error) {
	res, err := do(As(ctx, customer), c, map[string]string{"Idempotency-Key": key}, c.Orders.PlaceOrder, req)
	if err != nil {
		return nil, err
	}
	return res.GetOrder(), nil
}

// EachOrder reads every order of every customer, newest first.
func (c *Client) EachOrder(ctx context.Context, each func(*ordersv1.Order)) error {
	return pages(func(token string) (string, error) {
		res, err := Do(ctx, c, c.Orders.ListOrders, &ordersv1.ListOrdersRequest{PageSize: ordersPage, PageToken: token})
		for _, order := range res.GetOrders() {
			each(order)
		}
		return res.GetNextPageToken(), err
	})
}

// EachLedgerEntry reads the ledger in the order of posting.
func (c *Client) EachLedgerEntry(ctx context.Context, each func(*paymentsv1.LedgerEntry)) error {
	return pages(func(token string) (string, error) {
		res, err := Do(ctx, c, c.Payments.ListLedgerEntries, &paymentsv1.ListLedgerEntriesRequest{PageSize: ledgerPage, PageToken: token})
		for _, entry := range res.GetEntries() {
			each(entry)
		}
		return res.GetNextPageToken(), err
	})
}

// EachStockLevel reads the levels by SKU.
func (c *Client) EachStockLevel(ctx context.Context, each func(*inventoryv1.StockLevel)) error {
	return pages(func(token string) (string, error) {
		res, err := Do(ctx, c, c.Inventory.ListStock, &inventoryv1.ListStockRequest{PageSize: stockPage, PageToken: token})
		for _, level := range res.GetLevels() {
			each(level)
		}
		return res.GetNextPageToken(), err
	})
}

// EachReservation reads the reservations by order id.
func (c *Client) EachReservation(ctx context.Context, each func(*inventoryv1.Reservation)) error {
	return pages(func(token string) (string, error) {
		res, err := Do(ctx, c, c.Inventory.ListReservations, &inventoryv1.ListReservationsRequest{PageSize: reservationsPage, PageToken: token})
		for _, reservation := range res.GetReservations() {
			each(reservation)
		}
		return res.GetNextPageToken(), err
	})
}

// errPageLoop means that a service answers with the token that it was asked with.
var errPageLoop = errors.New("the list answers with the page token that it was asked with")

func pages(fetch func(token string) (next string, err error)) error {
	for token := ""; ; {
		next, err := fetch(token)
		if err != nil {
			return err
		}
		if next == "" {
			return nil
		}
		if next == token {
			return errPageLoop
		}
		token = next
	}
}

// The kinds of lines of the provider's book that move money.
const (
	BookCaptured = "captured"
	BookRefunded = "refunded"
)

// BookLine is one line of the payment provider's own book.
type BookLine struct {
	// TimeMilli is its clock's time.
	TimeMilli int64  `json:"time_ms"`
	Kind      string `json:"kind"`
	Intent    string `json:"intent"`
	OrderID   string `json:"order_id"`
	Amount    int64  `json:"amount"`
	Currency  string `json:"currency"`
	// Code is why it was declined or refused.
	Code string `json:"code"`
	// Lost marks a movement that was made and then answered with a 500.
	Lost bool `json:"answered_500"`
}

// EachBookLine reads the movements of the provider's book, oldest line first.
func (c *Client) EachBookLine(ctx context.Context, each func(BookLine)) error {
	lines, err := do(ctx, c, nil, c.readBook, func(l BookLine) bool { return l.Kind == BookCaptured || l.Kind == BookRefunded })
	for _, line := range lines {
		each(line)
	}
	return err
}

// BookOf reads all lines of the provider's book about an order's intents.
func (c *Client) BookOf(ctx context.Context, orderID string) ([]BookLine, error) {
	intents := map[string]bool{}
	return do(ctx, c, nil, c.readBook, func(l BookLine) bool {
		if l.OrderID == orderID && l.Intent != "" {
			intents[l.Intent] = true
		}
		return l.OrderID == orderID || intents[l.Intent]
	})
}

// readBook reads the book anew and returns the lines that keep takes.
func (c *Client) readBook(ctx context.Context, keep func(BookLine) bool) ([]BookLine, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.provider+"/book", http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("provider's book: %w", err)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, "provider's book: "+err.Error()).WithCause(err)
	}
	defer func() { _ = res.Body.Close() }() // only read
	if res.StatusCode != http.StatusOK {
		return nil, connect.Errorf(connect.CodeUnavailable, "provider's book: %s", res.Status)
	}
	var lines []BookLine
	for dec := json.NewDecoder(bufio.NewReaderSize(res.Body, 1<<16)); ; {
		var line BookLine
		err := dec.Decode(&line)
		if errors.Is(err, io.EOF) {
			return lines, nil
		}
		if err != nil {
			return nil, connect.NewError(connect.CodeUnavailable, "provider's book: "+err.Error()).WithCause(err)
		}
		if keep(line) {
			lines = append(lines, line)
		}
	}
}
