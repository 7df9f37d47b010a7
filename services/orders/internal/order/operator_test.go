package order

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var grace = By{Operator: "grace", Reason: "the bank says so"}

// TestResumeGivesAllOfTheTimeAgain lets a command be re-sent once, resumes, and
// compares the deadlines that follow with those of a new wait.
func TestResumeGivesAllOfTheTimeAgain(t *testing.T) {
	t.Parallel()
	for _, status := range []Status{Placed, Reserved, Charged, Cancelling} {
		l := in(status)
		looks := func(from time.Time) (waits []time.Duration) {
			for status := l.state.Status; l.state.Status == status; {
				waits = append(waits, l.state.Deadline.Sub(from))
				if _, _, err := l.tell(DeadlinePassed{}, l.state.Deadline); err != nil {
					t.Fatal(err)
				}
			}
			return waits
		}
		if _, _, err := l.tell(DeadlinePassed{}, l.state.Deadline); err != nil {
			t.Fatal(err)
		}
		now := t0.Add(5 * time.Minute)
		resent := l.sent[len(l.sent)-1]
		events, commands, err := l.tell(Resume{By: grace}, now)
		if len(events) != 1 || err != nil || l.state.Status != status || l.state.Since != now {
			t.Fatalf("%v resumed: %+v, %v, since %v", status, events, err, l.state.Since)
		}
		if diff := cmp.Diff([]Command{resent}, commands); diff != "" {
			t.Errorf("%v: what is sent again on resuming: %s", status, diff)
		}
		l.check(t)
		want := []time.Duration{30 * time.Second, 90 * time.Second, 210 * time.Second, 10 * time.Minute}
		if diff := cmp.Diff(want, looks(now)); diff != "" {
			t.Errorf("%v: looks after resuming: %s", status, diff)
		}
	}
}

// TestASettledOrderListens: what an operator has said is not the last word. A
// fact that contradicts it calls an operator again, once; one that was known
// before does not.
func TestASettledOrderListens(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from   Status
		as     Status
		known  Answer // what led to the operator, or was taken in before
		agrees Answer
		denies Answer
	}{
		"unanswered, shipped after all": {unanswered, Confirmed, Answer{Ship, Undone, 2, ""}, Answer{Charge, Done, 8, ""}, Answer{Charge, Undone, 9, ""}},
		"unanswered, refunded by hand":  {unanswered, Cancelled, Answer{Ship, Undone, 2, ""}, Answer{Charge, Undone, 8, ""}, Answer{Charge, Done, 9, ""}},
		"shipped by another hand":       {unconfirmed, Confirmed, Answer{Ship, Undone, 2, ""}, Answer{Ship, Done, 8, ""}, Answer{Reserve, Undone, 9, ""}},
		"charge given back by hand":     {uncancelled, Cancelled, Answer{Charge, Done, 2, ""}, Answer{Charge, Undone, 8, ""}, Answer{Charge, Done, 9, ""}},
	} {
		l := in(c.from)
		tell := func(f Fact, want Status, events int) {
			t.Helper()
			got, commands, err := l.tell(f, l.state.UpdatedAt)
			_, settles := f.(Settle)
			if err != nil || l.state.Status != want || len(got) != events || len(commands) > 0 && !settles {
				t.Errorf("%s: %+v: %v, events %+v, commands %+v, %v", name, f, l.state.Status, got, commands, err)
			}
			l.check(t)
		}
		tell(Settle{By: grace, As: c.as}, c.as, 1)
		if strings.Contains(l.state.Detail, grace.Reason) {
			t.Errorf("%s: the customer reads %q", name, l.state.Detail)
		}
		tell(c.known, c.as, 0)
		tell(c.agrees, c.as, 0)
		tell(c.denies, NeedsOperator, 1)
		tell(c.denies, NeedsOperator, 0)
		tell(Settle{By: grace, As: c.as}, c.as, 1)
		tell(c.denies, c.as, 0)
	}
}

func TestRefusalsOfOperators(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   Status
		wish Fact
		want error
	}{
		{Charged, Settle{By: grace, As: Confirmed}, ErrStillOpen},
		{Cancelling, Settle{By: grace, As: Cancelled}, ErrStillOpen},
		{Confirmed, Settle{By: grace, As: Cancelled}, ErrEnded},
		{Confirmed, Cancel{By: grace}, ErrConfirmed},
		{unconfirmed, Resume{By: grace}, ErrNothingToResume},
		{unanswered, Cancel{}, ErrNeedsOperator},
	} {
		if _, _, err := in(c.in).tell(c.wish, t0); !errors.Is(err, c.want) {
			t.Errorf("%v meets %+v: %v, want %v", c.in, c.wish, err, c.want)
		}
	}
}

// TestWhatIsUndoneAlreadyAnswersAgain: the shipment was undone after the
// confirmation, so its participant has no newer answer to the cancellation.
func TestWhatIsUndoneAlreadyAnswersAgain(t *testing.T) {
	t.Parallel()
	l := in(unconfirmed)
	for _, f := range []Fact{
		Cancel{By: grace}, Answer{Ship, Undone, 2, ""}, Answer{Charge, Undone, 3, ""}, Answer{Reserve, Undone, 2, ""},
	} {
		if _, _, err := l.tell(f, t0); err != nil {
			t.Fatal(err)
		}
	}
	if l.state.Status != Cancelled {
		t.Errorf("ends in %v with %b to undo", l.state.Status, l.state.Undo)
	}
}

// TestOldNeedsOperatorCanBeEnded: events of the first version do not say which
// steps are to be undone.
func TestOldNeedsOperatorCanBeEnded(t *testing.T) {
	t.Parallel()
	l := in(Confirmed)
	l.record([]Event{OperatorNeeded{Detail: "scheduling the shipment was undone after the order was confirmed"}}, t0)
	facts := []Fact{
		Cancel{By: grace}, Answer{Ship, Undone, 2, ""}, Answer{Charge, Undone, 3, ""}, Answer{Reserve, Undone, 2, ""},
	}
	for _, f := range facts {
		if _, _, err := l.tell(f, t0); err != nil {
			t.Fatal(err)
		}
	}
	if l.state.Status != Cancelled || l.state.Reason != ByOperator {
		t.Errorf("ends in %v because of %d", l.state.Status, l.state.Reason)
	}
}

// TestEveryOperatorIsInTheHistory: who decided, and why.
func TestEveryOperatorIsInTheHistory(t *testing.T) {
	t.Parallel()
	for _, wish := range []Fact{Cancel{By: grace}, Resume{By: grace}, Settle{By: grace, As: Cancelled}} {
		l := in(unanswered)
		if _, _, err := l.tell(wish, t0); err != nil {
			t.Fatal(err)
		}
		by, ok := Decided(l.events[len(l.events)-1].Event)
		if !ok || by != grace {
			t.Errorf("%T is recorded as the decision of %+v", wish, by)
		}
	}
	for _, r := range in(unanswered).events {
		if by, ok := Decided(r.Event); ok || strings.TrimSpace(by.Operator) != "" {
			t.Errorf("%T is recorded as the decision of %+v", r.Event, by)
		}
	}
}
