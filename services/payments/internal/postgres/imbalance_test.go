package postgres_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestImbalance: what the tables refuse is found if somebody gets past them.
func TestImbalance(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const post = `insert into ledger_entries (order_id, kind, account, currency, amount, posted_at) values
		(gen_random_uuid(), 'charge', 'provider_receivable', 'GBP', 7, now()),
		(gen_random_uuid(), 'charge', 'customer_payments', 'GBP', -7, now()),
		(gen_random_uuid(), 'charge', 'provider_receivable', 'EUR', 5, now())`
	for _, sql := range []string{`alter table ledger_entries disable trigger ledger_balanced`, post} {
		if _, err := b.pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	got, err := b.Imbalance(t.Context())
	if diff := cmp.Diff(map[string]int64{"GBP": 0, "EUR": 5}, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}
