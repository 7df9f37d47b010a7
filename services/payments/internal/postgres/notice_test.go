package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"example.com/ballast/pkg/ids"
	"example.com/ballast/services/payments/internal/payment"
)

const within = 2 * time.Second

func (b bundle) notice(t *testing.T, notices ...payment.Notice) ([]payment.Noticed, int) {
	t.Helper()
	taken, err := b.Notice(t.Context(), notices, within)
	if err != nil {
		t.Fatal(err)
	}
	return taken.Noticed, taken.Claims.Outside
}

// left is how long the order's lease still runs.
func (b bundle) left(t *testing.T, order string) time.Duration {
	t.Helper()
	var seconds float64
	if err := b.pool.QueryRow(t.Context(),
		"select extract(epoch from lease_until - now())::float8 from payments where order_id = $1", order).Scan(&seconds); err != nil {
		t.Fatal(err)
	}
	return time.Duration(seconds * float64(time.Second))
}

func TestNotice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	open, fresh, settled := ids.New().String(), ids.New().String(), ids.New().String()
	opened := b.record(t, charge(open), charge(fresh), charge(settled))
	for i, p := range opened {
		if p.OrderID != fresh {
			b.save(t, created(p, fmt.Sprint("pi_", i)))
		}
	}
	b.save(t, after(b.get(t, settled), payment.Confirm, payment.Result{Outcome: payment.Done, Intent: payment.IntentSucceeded}))
	now := time.Now()
	intent := b.get(t, open).IntentID
	event := func(id, order, intent string) payment.Notice {
		return payment.Notice{ID: id, Sent: now, OrderID: order, IntentID: intent}
	}
	before := []payment.Payment{b.get(t, open), b.get(t, fresh), b.get(t, settled)}
	got, outside := b.notice(t,
		event("evt_1", open, intent), event("evt_1", open, intent),
		event("evt_2", settled, b.get(t, settled).IntentID), // behind the answer to the call
		event("evt_3", fresh, "pi_9"),                       // before the intent's id was stored
		event("evt_4", open, "pi_orphan"),                   // of another intent
		event("evt_5", ids.New().String(), "pi_8"),          // of an order that is not there
	)
	want := []payment.Noticed{
		payment.NoticedDue, payment.NoticedDuplicate, payment.NoticedSettled, payment.NoticedDue,
		payment.NoticedUnknown, payment.NoticedUnknown,
	}
	if diff := cmp.Diff(want, got); diff != "" || outside != 0 {
		t.Errorf("noticed (-want +got), %d outside:\n%s", outside, diff)
	}
	if diff := cmp.Diff(before, []payment.Payment{b.get(t, open), b.get(t, fresh), b.get(t, settled)}); diff != "" {
		t.Errorf("a notice changed a payment (-want +got):\n%s", diff)
	}
	for _, order := range []string{open, fresh} {
		if left := b.left(t, order); left > within {
			t.Errorf("the lease of %s runs for %v; want at most %v", order, left, within)
		}
	}
	if left := b.left(t, settled); left < 30*time.Second {
		t.Errorf("the lease of a settled payment was cut to %v", left)
	}
}

// A notice that is older than the window is not known, and does what it does again.
func TestNoticeOutsideTheWindow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order := ids.New().String()
	b.record(t, charge(order))
	old := payment.Notice{ID: "evt_old", Sent: time.Now().Add(-72 * time.Hour), OrderID: order}
	for range 2 {
		if got, outside := b.notice(t, old); got[0] != payment.NoticedDue || outside != 1 {
			t.Errorf("noticed %v, %d outside", got, outside)
		}
	}
}

// A lease that ends sooner is left as it is: a notice puts nothing off.
func TestNoticePutsNothingOff(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order := ids.New().String()
	b.record(t, charge(order))
	if _, err := b.pool.Exec(t.Context(), "update payments set lease_until = now() - interval '1 hour'"); err != nil {
		t.Fatal(err)
	}
	b.notice(t, payment.Notice{ID: "evt_1", Sent: time.Now(), OrderID: order})
	if left := b.left(t, order); left > 0 {
		t.Errorf("an expired lease runs again for %v", left)
	}
}

// The process dies between the claim of an event and its effect: the provider
// sends the event again, and it must not be taken for a duplicate.
func TestDeathBetweenClaimAndEffect(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order := ids.New().String()
	b.record(t, charge(order))
	n := payment.Notice{ID: "evt_1", Sent: time.Now(), OrderID: order}
	// A row that is locked for longer than the statement waits stands for the death.
	tx, err := b.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := tx.Exec(t.Context(), "select from payments for update"); err != nil {
		t.Fatal(err)
	}
	dying, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := b.Notice(dying, []payment.Notice{n}, within); err == nil {
		t.Fatal("the notice was taken although its payment is locked")
	}
	if err := tx.Rollback(t.Context()); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
		t.Fatal(err)
	}
	if got, _ := b.notice(t, n); got[0] != payment.NoticedDue {
		t.Errorf("the event that came again is %s; want due", got[0])
	}
}
