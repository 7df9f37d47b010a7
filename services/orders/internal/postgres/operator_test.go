package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/pkg/ids"
	"example.com/ballast/services/orders/internal/order"
)

var grace = order.By{Operator: "grace", Reason: "called the bank"}

// stuck brings an order into NEEDS_OPERATOR: the undoing of its reservation is
// never answered.
func (b *bundle) stuck(t *testing.T, key string) ids.ID {
	t.Helper()
	id := b.place(t, placement("c", key)).ID
	b.tell(t, id, order.Cancel{})
	b.now = b.now.Add(11 * time.Minute)
	if _, err := b.Sweep(t.Context(), 10, []order.Step{order.Reserve}); err != nil {
		t.Fatal(err)
	}
	return id
}

func (b *bundle) unfinished(t *testing.T, want map[order.Status]int64) {
	t.Helper()
	got, err := b.Unfinished(t.Context())
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("unfinished orders: %v %s", err, diff)
	}
}

// TestOrdersThatNeedAnOperatorAreFound by list and count for as long as they do,
// and the alarm hears of each when it begins to.
func TestOrdersThatNeedAnOperatorAreFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var called []ids.ID
	b.Committed = func(_ context.Context, changes []order.Change) {
		for _, c := range changes {
			if c.After.Status == order.NeedsOperator {
				called = append(called, c.After.ID)
			}
		}
	}
	first, second := b.stuck(t, "1"), b.stuck(t, "2")
	b.place(t, placement("c", "3"))
	b.unfinished(t, map[order.Status]int64{order.Placed: 1, order.NeedsOperator: 2})
	for _, f := range []order.Filter{{Status: order.NeedsOperator}, {Status: order.NeedsOperator, Customer: "c"}} {
		views, err := b.List(t.Context(), f, ids.ID{0: 0xff}, 10)
		if err != nil || len(views) != 2 || views[0].ID != second || views[1].ID != first {
			t.Errorf("list with %+v: %+v, %v", f, views, err)
		}
	}
	for f, want := range map[order.Filter]int{{Status: order.Placed}: 1, {Status: order.Cancelled}: 0, {Customer: "d", Status: order.NeedsOperator}: 0} {
		if views, err := b.List(t.Context(), f, ids.ID{0: 0xff}, 10); err != nil || len(views) != want {
			t.Errorf("list with %+v: %d orders, %v", f, len(views), err)
		}
	}
	b.tell(t, first, order.Resume{By: grace})
	b.tell(t, second, order.Settle{By: grace, As: order.Cancelled})
	b.unfinished(t, map[order.Status]int64{order.Placed: 1, order.Cancelling: 1})
	if diff := cmp.Diff([]ids.ID{first, second}, called); diff != "" {
		t.Errorf("operators were called for: %s", diff)
	}
	b.check(t, first, second)
	b.toldOnce(t, first, second)
}

// TestAResumedReservationHasItsLines: the row does not hold them.
func TestAResumedReservationHasItsLines(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.place(t, placement("c", "k")).ID
	b.now = b.now.Add(31 * time.Second)
	if _, err := b.Sweep(t.Context(), 10, []order.Step{order.Reserve}); err != nil {
		t.Fatal(err)
	}
	b.tell(t, id, order.Resume{By: grace})
	msgs := b.sent(t)
	first, again := msgs[1], msgs[len(msgs)-1]
	if again.Type != "inventory.v1.ReserveStock" || string(first.Value) != string(again.Value) {
		t.Errorf("resuming sends %+v, want the same command as %+v", again, first)
	}
	view, err := b.Get(t.Context(), id)
	if err != nil || !view.Since.Equal(b.now.Truncate(time.Microsecond)) || view.Resends != 0 || !view.Deadline.Equal(view.Since.Add(30*time.Second)) {
		t.Errorf("the wait after resuming: %+v, %v", view.State, err)
	}
	b.check(t, id)
}

// TestAWishForAnotherVersionIsRefused also when the order changes between the
// operator's look and the writing.
func TestAWishForAnotherVersionIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.stuck(t, "k")
	v, err := b.History(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	seen := int64(len(v))
	wish := func(f order.Fact, at int64) error {
		t.Helper()
		verdicts, err := b.Tell(t.Context(), []order.Told{{Order: id, Fact: f, OnlyAt: at}})
		if err != nil {
			t.Fatal(err)
		}
		return verdicts[0].Err
	}
	if err := wish(order.Resume{By: grace}, seen-1); !errors.Is(err, order.ErrVersionChanged) {
		t.Errorf("at an old version: %v", err)
	}
	if err := wish(order.Resume{By: grace}, seen); err != nil {
		t.Errorf("at the version that was seen: %v", err)
	}
	if err := wish(order.Settle{By: grace, As: order.Cancelled}, seen); !errors.Is(err, order.ErrVersionChanged) {
		t.Errorf("after somebody else has resumed it: %v", err)
	}
	b.check(t, id)
}
