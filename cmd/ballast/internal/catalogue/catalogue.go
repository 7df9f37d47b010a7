// Package catalogue makes products known to a running stack and their stock
// available, and waits until orders can take orders for them.
package catalogue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"example.com/ballast/cmd/ballast/internal/api"
	inventoryv1 "example.com/ballast/gen/inventory/v1"
	moneyv1 "example.com/ballast/gen/money/v1"
	ordersv1 "example.com/ballast/gen/orders/v1"
)

// chunk is the number of products per call: well under the API's 1 MiB a request.
const chunk = 1000

// probePause is the pause between two looks at orders' copy of the catalogue.
const probePause = 100 * time.Millisecond

// Item is a product and the units of it to receive.
type Item struct {
	SKU, Description string
	// Price of one unit in minor units.
	Price int64
	Units int32
}

// Catalogue is what to load.
type Catalogue struct {
	Items    []Item
	Currency string
	// Receipt names the delivery: the same name is received once, whatever the
	// number of runs.
	Receipt string
	// Wait bounds the wait for orders' copy. Zero does not wait: orders reads it
	// whenever it starts.
	Wait time.Duration
}

// Load makes the products known, receives the stock and, unless told not to wait,
// returns when orders' own copy has every product at its price. All of it may be
// repeated.
func Load(ctx context.Context, c *api.Client, cat *Catalogue) error {
	n := 0
	for part := range slices.Chunk(cat.Items, chunk) {
		upsert := &inventoryv1.UpsertProductsRequest{}
		receipt := &inventoryv1.ReceiveStockRequest{ReceiptId: cat.Receipt + "-" + strconv.Itoa(n)}
		for _, item := range part {
			upsert.Products = append(upsert.Products, &inventoryv1.Product{Sku: item.SKU, Description: item.Description, Price: cat.money(item.Price)})
			receipt.Lines = append(receipt.Lines, &inventoryv1.StockLine{Sku: item.SKU, Quantity: item.Units})
		}
		if _, err := api.Do(ctx, c, c.Inventory.UpsertProducts, upsert); err != nil {
			return fmt.Errorf("load products: %w", err)
		}
		if _, err := api.Do(ctx, c, c.Inventory.ReceiveStock, receipt); err != nil {
			return fmt.Errorf("receive stock: %w", err)
		}
		n++
	}
	if cat.Wait == 0 {
		return nil
	}
	return await(ctx, c, cat)
}

func (cat *Catalogue) money(minor int64) *moneyv1.Money {
	return &moneyv1.Money{Currency: cat.Currency, MinorUnits: minor}
}

// await waits until orders' own copy has every product at its price.
func await(ctx context.Context, c *api.Client, cat *Catalogue) error {
	tick := time.NewTicker(probePause)
	defer tick.Stop()
	deadline := time.Now().Add(cat.Wait)
	for part := range slices.Chunk(cat.Items, chunk) {
		for {
			known, err := ordersKnow(ctx, c, cat, part)
			if known {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("orders does not have the catalogue after %v: is inventory.products being read? last answer: %w", cat.Wait, err)
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
			}
		}
	}
	return nil
}

// errProbeTaken means that orders does not compare the expected total.
var errProbeTaken = errors.New("an order was placed at an expected total of zero")

// ordersKnow asks for one unit of each product at an expected total of zero,
// which no order can have. Orders checks the SKUs first and the total after,
// and stores nothing: an unknown SKU is refused by name, and PRICE_CHANGED
// carries the total at orders' own prices.
func ordersKnow(ctx context.Context, c *api.Client, cat *Catalogue, items []Item) (bool, error) {
	req := &ordersv1.PlaceOrderRequest{ShipTo: &ordersv1.Address{Country: "GB"}, ExpectedTotal: cat.money(0)}
	var total int64
	for _, item := range items {
		total += item.Price
		req.Lines = append(req.Lines, &ordersv1.LineRequest{Sku: item.SKU, Quantity: 1})
	}
	_, err := c.Place(ctx, "catalogue-probe", "catalogue-probe", req)
	if err == nil {
		return false, errProbeTaken
	}
	info := api.ErrorInfo(err)
	if info.GetReason() != "PRICE_CHANGED" {
		return false, err
	}
	for _, value := range info.GetMetadata() {
		if value == strconv.FormatInt(total, 10) {
			return true, nil
		}
	}
	return false, err
}
