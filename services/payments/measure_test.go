package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/pkg/testkit"
	"example.com/ballast/services/payments/internal/payment"
)

// TestTheBooksAreSeen: the ledger's sums, what differs for as long as somebody
// knows, and how long nobody has looked.
func TestTheBooksAreSeen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		metrics := testkit.NewMetrics()
		sums, asked := map[string]int64{"GBP": 0, "EUR": -5}, 0
		var away error
		b, err := newBooks(metrics.Meter("test"), time.Minute, func(context.Context) (map[string]int64, error) {
			asked++
			time.Sleep(10 * time.Millisecond)
			return sums, away
		})
		if err != nil {
			t.Fatal(err)
		}
		check := func(what string, want map[string]float64) {
			t.Helper()
			got, err := metrics.Values(t)
			if diff := cmp.Diff(want, got); diff != "" || !errors.Is(err, away) {
				t.Errorf("%s: %v\n%s", what, err, diff)
			}
		}
		check("at the start", map[string]float64{
			"payments.reconcile.age": 0, "payments.ledger.imbalance{currency=GBP}": 0, "payments.ledger.imbalance{currency=EUR}": -5,
		})
		time.Sleep(500 * time.Millisecond)
		b.found(t.Context(), payment.Reconciliation{Compared: 3}, []payment.Difference{{Kind: payment.DiffersCharge}, {Kind: payment.DiffersCharge}})
		time.Sleep(200 * time.Millisecond)
		seen := map[string]float64{
			"payments.reconcile.age": .2, "payments.ledger.imbalance{currency=GBP}": 0, "payments.ledger.imbalance{currency=EUR}": -5,
			"payments.reconcile.runs": 1, "payments.reconcile.compared": 3,
			"payments.reconcile.differences{kind=intent}": 0, "payments.reconcile.differences{kind=charge}": 2,
			"payments.reconcile.differences{kind=refund}": 0, "payments.reconcile.differences{kind=currency}": 0,
			"payments.reconcile.differences{kind=status}": 0,
		}
		check("with differences", seen)
		if asked != 1 {
			t.Errorf("the ledger was added up %d times within a second", asked)
		}
		// A page of an operator's run is no comparison to the end.
		b.found(t.Context(), payment.Reconciliation{Next: payment.Mark{Entry: 1}}, nil)
		time.Sleep(4*time.Minute - 200*time.Millisecond)
		sums = map[string]int64{"GBP": 0, "EUR": 0}
		check("after another process took over", map[string]float64{
			"payments.reconcile.age": 240, "payments.ledger.imbalance{currency=GBP}": 0, "payments.ledger.imbalance{currency=EUR}": 0,
			"payments.reconcile.runs": 2, "payments.reconcile.compared": 3,
		})
		time.Sleep(time.Minute - 10*time.Millisecond) // what the last look took
		sums, away = nil, errors.New("away")
		check("without the database", map[string]float64{
			"payments.reconcile.age": 300, "payments.reconcile.runs": 2, "payments.reconcile.compared": 3,
		})
	})
}
