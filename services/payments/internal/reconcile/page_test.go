package reconcile_test

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/services/payments/internal/payment"
	"example.com/ballast/services/payments/internal/reconcile"
)

// A history that is too long for one call is compared page by page: each replica
// may do another page, nothing is left out and nothing is told twice.
func TestPages(t *testing.T) {
	t.Parallel()
	b := book()
	for i := range 20 {
		b.now = b.now.Add(time.Second)
		b.add(fmt.Sprint("order-", i), payment.Charged, 100, 0)
	}
	wrong := b.accounts["order-7"]
	wrong.Charged = 99
	b.accounts["order-7"] = wrong
	whole := b.run(t)
	if len(whole.Differences) == 0 {
		t.Fatal("there is no difference to find")
	}
	var sum payment.Reconciliation
	pages := 0
	for from := (payment.Mark{}); pages == 0 || from != (payment.Mark{}); pages++ {
		replica := reconcile.New(reconcile.Config{
			Provider: b, Book: b, Logger: slog.New(slog.DiscardHandler), Grace: time.Minute,
			Slice: 3, Page: time.Nanosecond,
		})
		page, err := replica.Run(t.Context(), from)
		if err != nil {
			t.Fatal(err)
		}
		from = page.Next
		sum.Compared += page.Compared
		sum.Differences = append(sum.Differences, page.Differences...)
		sum.Debits, sum.Credits = page.Debits, page.Credits
	}
	if diff := cmp.Diff(whole, sum); diff != "" || pages < 5 {
		t.Errorf("%d pages (-whole +pages):\n%s", pages, diff)
	}
}
