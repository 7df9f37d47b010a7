package stack

import (
	"context"
	"fmt"
	"time"

	"example.com/ballast/cmd/ballast/internal/api"
	"example.com/ballast/cmd/ballast/internal/catalogue"
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
	demoReceipt = "ballast-demo"
	demoUnits   = 10_000
	// demoWait is by judgement: orders reads the catalogue in milliseconds.
	demoWait = 30 * time.Second
)

// Demo is the catalogue of the demo. Loading it does not wait for orders.
func Demo() *catalogue.Catalogue {
	cat := &catalogue.Catalogue{Currency: "GBP", Receipt: demoReceipt}
	for _, p := range demo {
		cat.Items = append(cat.Items, catalogue.Item{SKU: p.sku, Description: p.description, Price: p.pence, Units: demoUnits})
	}
	return cat
}

// loadCatalogue puts the demo's products and stock into inventory through its
// public API, as an operator would, and waits until they can be ordered.
func (u *upper) loadCatalogue(ctx context.Context) error {
	began := time.Now()
	signer, err := u.Home.Signer()
	if err != nil {
		return err
	}
	client := api.New(api.Config{Endpoints: u.endpoints.API(), Mint: signer.Token, Wait: demoWait})
	cat := Demo()
	cat.Wait = demoWait
	if err := catalogue.Load(ctx, client, cat); err != nil {
		return fmt.Errorf("load the demo catalogue: %w", err)
	}
	u.console.Printf("catalogue ready after %.1f s: %d products, %d units of each", time.Since(began).Seconds(), len(demo), demoUnits)
	return nil
}
