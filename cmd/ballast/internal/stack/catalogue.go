package stack

import (
	"context"
	"fmt"
	"time"

	inventoryv1 "example.com/ballast/gen/inventory/v1"
	"example.com/ballast/gen/inventory/v1/inventoryv1connect"
	moneyv1 "example.com/ballast/gen/money/v1"
	"example.com/ballast/pkg/edge"
)

// demo is the first invoice of the Online Retail data set and what is in the
// next: enough to place an order by hand. Prices are in pence.
var demo = []struct {
	sku         string
	description string
	pence       int64
}{
	{"85123A", "WHITE HANGING HEART T-LIGHT HOLDER", 255},
	{"71053", "WHITE METAL LANTERN", 339},
	{"84406B", "CREAM CUPID HEARTS COAT HANGER", 275},
	{"84029G", "KNITTED UNION FLAG HOT WATER BOTTLE", 339},
	{"84029E", "RED WOOLLY HOTTIE WHITE HEART.", 339},
	{"22752", "SET 7 BABUSHKA NESTING BOXES", 765},
	{"21730", "GLASS STAR FROSTED T-LIGHT HOLDER", 425},
	{"22633", "HAND WARMER UNION JACK", 185},
	{"22632", "HAND WARMER RED POLKA DOT", 185},
}

const (
	// demoReceipt is fixed, so that the delivery comes once however often the
	// stack is started.
	demoReceipt = "ballast-demo-1"
	demoUnits   = 10_000
)

// loadCatalogue puts the demo's products and stock into inventory through its
// public API, as an operator would.
func (u *upper) loadCatalogue(ctx context.Context) error {
	began := time.Now()
	signer, err := u.Home.Signer()
	if err != nil {
		return err
	}
	token, err := signer.Token("ballast-up", true)
	if err != nil {
		return err
	}
	client := inventoryv1connect.NewInventoryServiceClient(edge.NewClient(u.endpoints.Inventory, token))
	products, delivery := &inventoryv1.UpsertProductsRequest{}, &inventoryv1.ReceiveStockRequest{ReceiptId: demoReceipt}
	for _, p := range demo {
		products.Products = append(products.Products, &inventoryv1.Product{
			Sku: p.sku, Description: p.description,
			Price: &moneyv1.Money{Currency: "GBP", MinorUnits: p.pence},
		})
		delivery.Lines = append(delivery.Lines, &inventoryv1.StockLine{Sku: p.sku, Quantity: demoUnits})
	}
	changed, err := client.UpsertProducts(ctx, products)
	if err != nil {
		return fmt.Errorf("load the catalogue: %w", err)
	}
	received, err := client.ReceiveStock(ctx, delivery)
	if err != nil {
		return fmt.Errorf("load the stock: %w", err)
	}
	u.console.Printf("catalogue ready after %.1f s: %d products, %d of them new, stock received: %t",
		time.Since(began).Seconds(), len(demo), changed.GetChanged(), received.GetReceived())
	return nil
}
