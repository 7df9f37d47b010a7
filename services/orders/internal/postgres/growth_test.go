package postgres_test

import (
	"fmt"
	"testing"

	"example.com/ballast/pkg/testkit"
	"example.com/ballast/services/orders/internal/order"
	"example.com/ballast/services/orders/internal/postgres"
)

// A shop is planned for when it is empty, and then it grows.
func TestAnOrderCostsTheSameInAGrownShop(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one := testkit.OneSession(t, b.pool)
	b.Store = postgres.New(with(b.Config, func(c *postgres.Config) { c.Pool = one }))
	placed := 0
	place := func(n int) (rows int64) {
		before := testkit.RowsRead(t, one)
		batch := make([]order.Placement, n)
		for i := range batch {
			placed++
			batch[i] = placement(fmt.Sprint("customer-", placed), "key")
		}
		for _, r := range b.Place(t.Context(), batch) {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
		}
		return testkit.RowsRead(t, one) - before
	}
	for range 10 {
		place(1)
	}
	small := place(20)
	for range 10 {
		place(300)
	}
	if grown := place(20); grown > 2*small {
		t.Errorf("placing 20 orders read %d rows in a new shop, %d after %d orders", small, grown, placed)
	}
}

func with(c postgres.Config, change func(*postgres.Config)) postgres.Config {
	change(&c)
	return c
}
