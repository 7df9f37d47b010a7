package replay

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"connectrpc.com/connect/v2"

	"example.com/ballast/cmd/ballast/internal/api"
	"example.com/ballast/cmd/ballast/internal/retail"
	inventoryv1 "example.com/ballast/gen/inventory/v1"
	ordersv1 "example.com/ballast/gen/orders/v1"
)

// chunk is the number of products per call: well under the API's 1 MiB a request.
const chunk = 1000

// probePause is the pause between two looks at orders' copy of the catalogue.
const probePause = 100 * time.Millisecond

// loadCatalogue makes the products known and their stock available. All of it
// is idempotent: the receipts' ids come from the file's content and the stock
// asked for, so a second run receives nothing.
func loadCatalogue(ctx context.Context, c *api.Client, cfg *Config, products []retail.Product) error {
	n := 0
	for part := range slices.Chunk(products, chunk) {
		upsert := &inventoryv1.UpsertProductsRequest{}
		receipt := &inventoryv1.ReceiveStockRequest{ReceiptId: receiptID(cfg, n)}
		for _, p := range part {
			upsert.Products = append(upsert.Products, &inventoryv1.Product{Sku: p.SKU, Description: p.Description, Price: money(cfg.Currency, p.Price)})
			units := cfg.Stock
			if units == 0 {
				if units = int32(p.Wanted); int64(units) != p.Wanted {
					return fmt.Errorf("the file wants %d units of %s: more than one delivery can hold; give a --stock", p.Wanted, p.SKU)
				}
			}
			receipt.Lines = append(receipt.Lines, &inventoryv1.StockLine{Sku: p.SKU, Quantity: units})
		}
		if _, err := api.Do(ctx, c, c.Inventory.UpsertProducts, upsert); err != nil {
			return fmt.Errorf("load products: %w", err)
		}
		if _, err := api.Do(ctx, c, c.Inventory.ReceiveStock, receipt); err != nil {
			return fmt.Errorf("receive stock: %w", err)
		}
		n++
	}
	return awaitCatalogue(ctx, c, cfg, products)
}

func receiptID(cfg *Config, n int) string {
	amount := "all"
	if cfg.Stock > 0 {
		amount = strconv.Itoa(int(cfg.Stock))
	}
	return fmt.Sprintf("replay-%s-%s-%d", cfg.History.Digest, amount, n)
}

// awaitCatalogue waits until orders' own copy has every product at its price.
func awaitCatalogue(ctx context.Context, c *api.Client, cfg *Config, products []retail.Product) error {
	deadline := time.Now().Add(cfg.Wait)
	for part := range slices.Chunk(products, chunk) {
		for {
			known, err := ordersKnow(ctx, c, cfg.Currency, part)
			if known {
				break
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("orders does not have the catalogue after %v: is inventory.products being read? last answer: %w", cfg.Wait, err)
			}
			timer := time.NewTimer(probePause)
			select {
			case <-ctx.Done():
				timer.Stop()
				return ctx.Err()
			case <-timer.C:
			}
		}
	}
	return nil
}

// ordersKnow asks for one unit of each product at an expected total of zero,
// which no order can have. Orders checks the SKUs first and the total after,
// and stores nothing: an unknown SKU is refused by name, and PRICE_CHANGED
// carries the total at orders' own prices.
func ordersKnow(ctx context.Context, c *api.Client, currency string, products []retail.Product) (bool, error) {
	req := &ordersv1.PlaceOrderRequest{ShipTo: &ordersv1.Address{Country: "GB"}, ExpectedTotal: money(currency, 0)}
	var total int64
	for _, p := range products {
		total += p.Price
		req.Lines = append(req.Lines, &ordersv1.LineRequest{Sku: p.SKU, Quantity: 1})
	}
	_, err := c.Place(ctx, "replay-probe", "replay-probe", req)
	if err == nil {
		return false, connect.NewError(connect.CodeInternal, "an order was placed at an expected total of zero")
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
