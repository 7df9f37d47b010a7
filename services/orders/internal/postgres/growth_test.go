package postgres_test

import (
	"fmt"
	"testing"

	"example.com/ballast/pkg/testkit"
	"example.com/ballast/services/orders/internal/order"
	"example.com/ballast/services/orders/internal/postgres"
)

// Statements are planned while the shop is empty, and then it grows.
func TestAnOrderCostsTheSameInAGrownShop(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one := testkit.OneSession(t, b.pool)
	config := b.Config
	config.Pool = one
	b.Store = postgres.New(config)
	asked := 0
	place := func(n int, wanted ...order.Wanted) (rows int64, results []error) {
		before := testkit.RowsRead(t, one)
		batch := make([]order.Placement, n)
		for i := range batch {
			asked++
			batch[i] = placement(fmt.Sprint("customer-", asked), "key")
			if len(wanted) > 0 {
				batch[i].Wanted = wanted
			}
		}
		for _, r := range b.Place(t.Context(), batch) {
			results = append(results, r.Err)
		}
		return testkit.RowsRead(t, one) - before, results
	}
	for range 10 { // Refused, but the keys were looked up, among no orders at all.
		if _, errs := place(20, order.Wanted{SKU: "not there", Quantity: 1}); errs[0] == nil {
			t.Fatal("an order of what is not there was taken")
		}
	}
	small, _ := place(20)
	for range 10 {
		place(300)
	}
	grown, errs := place(20)
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	if grown > small+100 {
		t.Errorf("placing 20 orders read %d rows in a new shop, %d behind 3,000 others", small, grown)
	}
}
