package postgres_test

import (
	"testing"
	"time"

	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/testkit"
	"example.com/ballast/services/payments/internal/payment"
	"example.com/ballast/services/payments/internal/postgres"
)

// Statements are planned while the tables are new, and then these grow.
func TestAPaymentCostsTheSameInAGrownLedger(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one := testkit.OneSession(t, b.pool)
	b.Store = postgres.New(one, encode, func() {})
	paid := 0
	// pay does to payments what is done to each, with the provider's notices of them.
	pay := func(n int) (rows int64) {
		before := testkit.RowsRead(t, one)
		orders := make([]string, n)
		var commands []payment.Command
		var changes []payment.Change
		var notices []payment.Notice
		for i := range orders {
			orders[i] = ids.New().String()
			commands = append(commands, charge(orders[i]))
		}
		for _, p := range b.record(t, commands...) {
			intent := "pi_" + p.OrderID
			changes = append(changes, confirmed(created(p, intent).Payment))
			notices = append(notices, payment.Notice{ID: "evt_" + p.OrderID, Sent: time.Now(), OrderID: p.OrderID, IntentID: intent})
		}
		b.notice(t, notices...)
		b.save(t, changes...)
		if _, err := b.Accounts(t.Context(), orders); err != nil {
			t.Fatal(err)
		}
		paid += n
		return testkit.RowsRead(t, one) - before
	}
	for range 10 {
		pay(1)
	}
	small := pay(20)
	for range 10 {
		pay(200)
	}
	if grown := pay(20); grown > 2*small {
		t.Errorf("20 payments read %d rows in a new ledger, %d after %d payments", small, grown, paid)
	}
}
