package postgres_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/services/payments/internal/payment"
	"example.com/ballast/services/payments/internal/postgres"
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
	conn, err := b.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	got, err := postgres.SumUp(t.Context(), conn.Conn())
	want := payment.Sums{Entries: 3, Balance: map[string]int64{"GBP": 0, "EUR": 5}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}
