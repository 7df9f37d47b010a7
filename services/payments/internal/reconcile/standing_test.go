package reconcile_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
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
			Found: func(_ context.Context, r payment.Reconciliation) {
				told = append(told, len(r.Differences))
				for _, d := range r.Differences {
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
		if err := r.Schedule(ctx, 1, time.Minute); err != nil {
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

func (b *books) Suspects(context.Context, int) ([]payment.Suspect, time.Time, error) {
	return slices.Clone(b.suspects), b.until, nil
}

func (b *books) Suspect(_ context.Context, found []payment.Suspect) error {
	for _, s := range found {
		if !slices.Contains(b.suspects, s) {
			b.suspects = append(b.suspects, s)
		}
	}
	return nil
}

func (b *books) Compared(ctx context.Context, _ int64, until time.Time, found, settled []payment.Suspect) error {
	b.until = until
	b.suspects = slices.DeleteFunc(b.suspects, func(s payment.Suspect) bool { return slices.Contains(settled, s) })
	return b.Suspect(ctx, found)
}

// TestALeaderThatCannotCompareIsSeen: the books are as old as when somebody has
// compared them, whoever leads since; and what was found stays while it leads.
func TestALeaderThatCannotCompareIsSeen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &books{now: time.Now().Add(-time.Minute), refunds: map[string]int64{}, accounts: map[string]payment.Account{}}
		b.until = time.Now().Add(-time.Hour)
		b.add("charged", payment.Charged, 100, 0)
		b.intent("charged").Received = 99
		b.down = errors.New("away")
		r := reconcile.New(reconcile.Config{Provider: b, Book: b, Logger: slog.New(slog.DiscardHandler), Grace: 2 * time.Second})
		check := func(what string, age time.Duration, compared bool, differences int) {
			t.Helper()
			k := r.Known()
			if k == nil || time.Since(k.Until) != age || k.Compared != compared || len(k.Differences) != differences {
				t.Errorf("%s: %+v; want an age of %s, compared %v, %d differences", what, k, age, compared, differences)
			}
		}
		if k := r.Known(); k != nil {
			t.Errorf("before the term: %+v", k)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Schedule(ctx, 1, time.Minute) }()
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		check("the provider is away from the beginning", 90*time.Minute, false, 0)
		b.down = nil
		time.Sleep(time.Minute)
		synctest.Wait()
		check("it is back", 2*time.Second, true, 1)
		b.down = errors.New("away")
		time.Sleep(time.Hour)
		synctest.Wait()
		check("it is away again", time.Hour+2*time.Second, true, 1)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if k := r.Known(); k != nil {
			t.Errorf("after the term: %+v", k)
		}
	})
}
