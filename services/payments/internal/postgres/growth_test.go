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
func TestPaymentsAreFoundInAGrownLedger(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one := testkit.OneSession(t, b.pool)
	b.Store = postgres.New(one, encode, func() {})
	paid := 0
	// find is what becomes of payments that are there: the provider's notices, and the books compared.
	pay := func(n int) (find func() (rows int64)) {
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
		b.save(t, changes...)
		paid += n
		return func() int64 {
			before := testkit.RowsRead(t, one)
			b.notice(t, notices...)
			if _, err := b.Accounts(t.Context(), orders); err != nil {
				t.Fatal(err)
			}
			return testkit.RowsRead(t, one) - before
		}
	}
	for range 10 {
		pay(1)()
	}
	small := pay(20)()
	for range 10 {
		pay(200)
	}
	if grown := pay(20)(); grown > 2*small {
		t.Errorf("finding 20 payments read %d rows in a new ledger, %d after %d payments", small, grown, paid)
	}
}
