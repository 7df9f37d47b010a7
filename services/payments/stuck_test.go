package main

import (
	"context"
	"testing"

	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/testkit"
	"example.com/ballast/services/payments/internal/payment"
)

// amnesiac is a provider that has forgotten every intent, as with the key of
// another account.
type amnesiac struct{ *bank }

func (a amnesiac) Do(ctx context.Context, c payment.Call) payment.Result {
	if c.Operation == payment.Create {
		return a.bank.Do(ctx, c)
	}
	return payment.Result{Outcome: payment.Invalid, Code: "resource_missing"}
}

// A payment whose intent the provider does not know is not asked about for ever:
// it is stuck, which an alarm sees, holds nobody up, and is neither declined nor
// voided, because nobody knows whether the money moved.
func TestForgottenIntent(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	p := newBank(1, 0)
	exec, stop := b.start(b.store, amnesiac{p})
	order := ids.New().String()
	b.command(exec, payment.Command{OrderID: order, Amount: amount})
	testkit.Eventually(t, "the payment is stuck", func() bool {
		// The pauses grow to half a minute: a test cuts them short.
		if _, err := b.pool.Exec(t.Context(), "update payments set lease_until = now() where setbacks < $1", payment.MaxSetbacks); err != nil {
			t.Fatal(err)
		}
		return b.get(order).Stuck()
	})
	var later bool
	if err := b.pool.QueryRow(t.Context(), "select lease_until > now() + interval '20 minutes' from payments").Scan(&later); err != nil || !later {
		t.Errorf("a stuck payment is looked at again soon (%v)", err)
	}
	if open, stuck, err := b.store.CountOpen(t.Context(), 10); err != nil || open != 0 || stuck != 1 {
		t.Errorf("%d open, %d stuck (%v); want 0 and 1", open, stuck, err)
	}
	if got := b.get(order); got.Status != payment.Pending || len(b.answers(order)) != 0 {
		t.Errorf("the payment is %s with answers %v", got.Status, b.answers(order))
	}
	// The provider remembers, and an operator resumes the order: the command is sent
	// again and makes the payment due.
	stop()
	exec, _ = b.start(b.store, p)
	b.command(exec, payment.Command{OrderID: order, Amount: amount})
	testkit.Eventually(t, "the payment is settled without the hour's wait", func() bool { return !b.get(order).Status.Open() })
	b.agrees(order, p)
}
