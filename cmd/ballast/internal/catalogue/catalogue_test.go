package catalogue_test

import (
	"testing"

	"example.com/ballast/cmd/ballast/internal/api"
	"example.com/ballast/cmd/ballast/internal/catalogue"
	"example.com/ballast/cmd/ballast/internal/shoptest"
	inventoryv1 "example.com/ballast/gen/inventory/v1"
)

// TestLoadedTwiceItIsThereOnce: a job that runs at each start must not fill the shelves.
func TestLoadedTwiceItIsThereOnce(t *testing.T) {
	t.Parallel()
	client := (&shoptest.Shop{}).Start(t)
	cat := &catalogue.Catalogue{
		Items:    []catalogue.Item{{SKU: "85123A", Description: "HOLDER", Price: 255, Units: 10}},
		Currency: "GBP", Receipt: "demo",
	}
	for range 2 {
		if err := catalogue.Load(t.Context(), client, cat); err != nil {
			t.Fatal(err)
		}
	}
	stock, err := api.Do(t.Context(), client, client.Inventory.ListStock, &inventoryv1.ListStockRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if levels := stock.GetLevels(); len(levels) != 1 || levels[0].GetOnHand() != 10 {
		t.Errorf("after two loads of 10 units there are %v", levels)
	}
}
