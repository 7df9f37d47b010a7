package reconcile_test

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/ballast/pkg/money"
	"example.com/ballast/services/payments/internal/payment"
	"example.com/ballast/services/payments/internal/reconcile"
)

// books are both sides in memory.
type books struct {
	now      time.Time
	intents  []reconcile.Intent
	refunds  map[string]int64 // by intent
	accounts map[string]payment.Account
	postings []payment.Posting
	down     error
	alone    int // intents read one by one

	suspects []payment.Suspect
	until    time.Time
}

func (b *books) Intents(_ context.Context, from, until time.Time) iter.Seq2[reconcile.Intent, error] {
	return func(yield func(reconcile.Intent, error) bool) {
		if b.down != nil {
			yield(reconcile.Intent{}, b.down)
			return
		}
		for _, i := range b.intents {
			if !i.Created.Before(from) && !i.Created.After(until) && !yield(i, nil) {
				return
			}
		}
	}
}

func (b *books) Refunds(context.Context, time.Time, time.Time) iter.Seq2[reconcile.Refund, error] {
	return func(yield func(reconcile.Refund, error) bool) {
		for id, amount := range b.refunds {
			if !yield(reconcile.Refund{IntentID: id, Amount: amount}, nil) {
				return
			}
		}
	}
}

func (b *books) Intent(_ context.Context, id string) (reconcile.Intent, error) {
	b.alone++
	for _, i := range b.intents {
		if i.ID == id {
			return i, nil
		}
	}
	return reconcile.Intent{}, reconcile.ErrMissing
}

func (b *books) Postings(_ context.Context, from, until time.Time, after int64, limit int) (page []payment.Posting, _ error) {
	for _, p := range b.postings {
		if p.EntryID > after && !p.Time.Before(from) && p.Time.Before(until) && len(page) < limit {
			page = append(page, p)
		}
	}
	return page, nil
}

func (b *books) Accounts(_ context.Context, orders []string) (map[string]payment.Account, error) {
	known := map[string]payment.Account{}
	for _, o := range orders {
		if a, ok := b.accounts[o]; ok {
			known[o] = a
		}
	}
	return known, nil
}

func (b *books) Totals(context.Context) (debits, credits int64, err error) {
	for _, p := range b.postings {
		debits += p.Amount
	}
	return debits, debits, nil
}

func (b *books) run(t *testing.T) payment.Reconciliation {
	t.Helper()
	r := reconcile.New(reconcile.Config{Provider: b, Book: b, Logger: slog.New(slog.DiscardHandler), Grace: time.Minute})
	report, err := r.Run(t.Context(), payment.Mark{})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// book has one order charged, one refunded and one declined, in agreement.
func book() *books {
	b := &books{now: time.Now().Add(-time.Hour), refunds: map[string]int64{}, accounts: map[string]payment.Account{}}
	b.add("charged", payment.Charged, 100, 0)
	b.add("refunded", payment.Refunded, 200, 200)
	b.add("declined", payment.Declined, 0, 0)
	return b
}

func (b *books) add(order string, s payment.Status, charged, refunded int64) {
	id := "pi_" + order
	p := payment.Payment{
		OrderID: order, Status: s, Amount: money.Money{Currency: "GBP", Minor: max(charged, 1)}, Version: 2, IntentID: id,
		Captured: charged > 0, Updated: b.now,
	}
	b.accounts[order] = payment.Account{Payment: p, Charged: charged, Refunded: refunded}
	b.intents = append(b.intents, reconcile.Intent{ID: id, OrderID: order, Created: b.now, Currency: "GBP", Received: charged})
	post := func(kind string, amount int64) {
		if amount > 0 {
			b.postings = append(b.postings, payment.Posting{
				EntryID: int64(len(b.postings) + 1), Time: b.now.Add(time.Second), OrderID: order, IntentID: id, Kind: kind, Amount: amount,
			})
		}
	}
	post(payment.PostingCharge, charged)
	post(payment.PostingRefund, refunded)
	if refunded > 0 {
		b.refunds[id] = refunded
	}
}

func (b *books) intent(order string) *reconcile.Intent {
	i := slices.IndexFunc(b.intents, func(i reconcile.Intent) bool { return i.OrderID == order })
	return &b.intents[i]
}

func (b *books) account(order string, change func(*payment.Account)) {
	a := b.accounts[order]
	change(&a)
	b.accounts[order] = a
}

func TestAgreement(t *testing.T) {
	t.Parallel()
	b := book()
	got := b.run(t)
	if diff := cmp.Diff(payment.Reconciliation{Compared: 3, Debits: 500, Credits: 500}, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if b.alone != 0 {
		t.Errorf("%d intents were read alone", b.alone)
	}
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(*books)
		order string // of the one difference; empty means none
		words string
	}{
		"charge unknown to the ledger": {func(b *books) {
			b.intents = append(b.intents, reconcile.Intent{ID: "pi_x", OrderID: "x", Created: b.now, Currency: "GBP", Received: 5})
		}, "x", "keeps 5"},
		"charge without an order": {func(b *books) {
			b.intents = append(b.intents, reconcile.Intent{ID: "pi_x", Created: b.now, Currency: "GBP", Received: 5})
		}, "", "keeps 5"},
		"second charge of an order": {func(b *books) {
			b.intents = append(b.intents, reconcile.Intent{ID: "pi_2", OrderID: "charged", Created: b.now, Currency: "GBP", Received: 100})
		}, "charged", "not the payment's"},
		"posting unknown to the provider": {func(b *books) {
			b.intents = slices.DeleteFunc(b.intents, func(i reconcile.Intent) bool { return i.OrderID == "charged" })
		}, "charged", "does not have"},
		"another amount": {func(b *books) { b.intent("charged").Received = 99 }, "charged", "took 99"},
		"another currency": {func(b *books) {
			b.intent("charged").Currency = "EUR"
			b.intent("charged").Received = 100
			b.suspectAll()
		}, "charged", "EUR"},
		"refund unknown to the provider": {func(b *books) { delete(b.refunds, "pi_refunded") }, "refunded", "gave back 0"},
		"refund unknown to the ledger":   {func(b *books) { b.refunds["pi_charged"] = 100 }, "charged", "gave back 100"},
		"charged although declined":      {func(b *books) { b.intent("declined").Received = 7 }, "declined", "took 7"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := book()
			c.spoil(b)
			got := b.run(t).Differences
			if len(got) != 1 || got[0].OrderID != c.order || !strings.Contains(got[0].Problem, c.words) {
				t.Errorf("differences are %+v, want one of order %q with %q", got, c.order, c.words)
			}
		})
	}
}

// suspectAll makes the slice suspicious of the charged order, whose amounts agree.
func (b *books) suspectAll() { b.postings[0].Amount++ }

func TestExceptions(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*books){
		"open": func(b *books) {
			b.intent("declined").Received = 7
			b.account("declined", func(a *payment.Account) { a.Payment.Status = payment.Pending })
		},
		"settled within the grace": func(b *books) {
			b.intent("declined").Received = 7
			b.account("declined", func(a *payment.Account) { a.Payment.Updated = time.Now() })
		},
		"made within the grace": func(b *books) {
			b.intents = append(b.intents, reconcile.Intent{ID: "pi_x", Created: time.Now(), Received: 5})
		},
		"orphan that took nothing": func(b *books) {
			b.intents = append(b.intents, reconcile.Intent{ID: "pi_x", OrderID: "charged", Created: b.now})
		},
		"intent made long before its posting": func(b *books) {
			b.intent("charged").Created = b.now.Add(-24 * time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := book()
			spoil(b)
			if got := b.run(t).Differences; len(got) != 0 {
				t.Errorf("differences are %+v", got)
			}
		})
	}
}

func TestProviderAway(t *testing.T) {
	t.Parallel()
	b := book()
	b.down = errors.New("away")
	r := reconcile.New(reconcile.Config{Provider: b, Book: b, Logger: slog.New(slog.DiscardHandler)})
	got, err := r.Run(t.Context(), payment.Mark{})
	if !errors.Is(err, b.down) {
		t.Errorf("error is %v", err)
	}
	if diff := cmp.Diff(payment.Reconciliation{}, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("a report came in spite of it:\n%s", diff)
	}
}

func TestSlices(t *testing.T) {
	t.Parallel()
	b := &books{now: time.Now().Add(-time.Hour), refunds: map[string]int64{}, accounts: map[string]payment.Account{}}
	const orders = 25_000 // more than two slices
	for range orders {
		b.now = b.now.Add(10 * time.Millisecond)
		b.add("order "+b.now.String(), payment.Charged, 100, 0)
	}
	got := b.run(t)
	if got.Compared != orders || len(got.Differences) != 0 || b.alone != 0 {
		t.Errorf("compared %d of %d, %d differences, %d read alone", got.Compared, orders, len(got.Differences), b.alone)
	}
}

// TestScheduleComesBack: what was open when its time was compared is compared
// when it is settled, although its time is over.
func TestScheduleComesBack(t *testing.T) {
	t.Parallel()
	b := book()
	b.now = time.Now()
	b.add("late", payment.Pending, 7, 0)
	b.account("late", func(a *payment.Account) { a.Charged = 0 })
	b.postings = b.postings[:3]
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var found []payment.Reconciliation
	r := reconcile.New(reconcile.Config{
		Provider: b, Book: b, Logger: slog.New(slog.DiscardHandler), Grace: time.Nanosecond,
		Found: func(_ context.Context, r payment.Reconciliation) {
			found = append(found, r)
			if len(found) == 2 { // it has been compared, and was open
				b.account("late", func(a *payment.Account) { a.Payment.Status = payment.Declined })
			}
			if len(r.Differences) > 0 || len(found) == 10 {
				cancel()
			}
		},
	})
	if err := r.Schedule(ctx, 1, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	last := found[len(found)-1].Differences
	if len(last) != 1 || last[0].OrderID != "late" {
		t.Errorf("after %d runs the differences are %+v", len(found), last)
	}
}
