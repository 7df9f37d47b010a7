package reconcile_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/services/payments/internal/payment"
	"example.com/ballast/services/payments/internal/reconcile"
)

// TestADifferenceStaysUntilItIsMended: its time is over after one run, but an alert
// that ended by itself would say that the books agree again. It is logged once.
func TestADifferenceStaysUntilItIsMended(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &books{now: time.Now().Add(-time.Minute), refunds: map[string]int64{}, accounts: map[string]payment.Account{}}
		b.add("charged", payment.Charged, 100, 0)
		b.intent("charged").Received = 99
		ctx, cancel := context.WithCancel(t.Context())
		var log strings.Builder
		var told []int
		began := time.Now()
		r := reconcile.New(reconcile.Config{
			Provider: b, Book: b, Logger: slog.New(slog.NewTextHandler(&log, nil)), Grace: 2 * time.Second,
			Found: func(_ context.Context, _ payment.Reconciliation, standing []payment.Difference) {
				told = append(told, len(standing))
				for _, d := range standing {
					if d.OrderID != "charged" || d.Kind != payment.DiffersCharge {
						t.Errorf("%+v", d)
					}
				}
				switch len(told) {
				case 1:
					if waited := time.Since(began); waited > 0 {
						t.Errorf("the first comparison came after %s", waited)
					}
				case 4:
					b.intent("charged").Received = 100
				case 6:
					cancel()
				}
			},
		})
		if err := r.Schedule(ctx, time.Minute); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]int{1, 1, 1, 1, 0, 0}, told); diff != "" {
			t.Error(diff)
		}
		if n := strings.Count(log.String(), "the books differ"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, log.String())
		}
	})
}
