package order

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/money"
)

var (
	policy = Policy{ResendAfter: 30 * time.Second, MaxResends: 3, CompensateAfter: 10 * time.Minute}
	t0     = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

// life replays decisions: it is the smallest possible writer.
type life struct {
	events []Recorded
	state  State
	sent   []Command
}

func begin() *life {
	e, c := Place(WasPlaced{
		ID: ids.New(), Customer: "c", Key: "k", RequestHash: []byte{1},
		Lines: []Line{{SKU: "A", Quantity: 2, Price: money.Money{Currency: "GBP", Minor: 255}}},
		Total: money.Money{Currency: "GBP", Minor: 510}, Country: "GB",
	}, t0, policy)
	l := &life{}
	l.record([]Event{e}, t0)
	l.sent = append(l.sent, c)
	return l
}

func (l *life) record(events []Event, at time.Time) {
	for _, e := range events {
		r := Recorded{Order: l.state.ID, Version: l.state.Version + 1, At: at, Event: e}
		l.events = append(l.events, r)
		l.state = Evolve(l.state, r)
	}
}

func (l *life) tell(f Fact, at time.Time) ([]Event, []Command, error) {
	events, commands, err := Decide(l.state, f, at, policy)
	l.record(events, at)
	l.sent = append(l.sent, commands...)
	return events, commands, err
}

// The ways into NEEDS_OPERATOR, which is one status with three pasts.
const (
	unanswered  = NeedsOperator + 1 + iota // an undoing was never answered
	unconfirmed                            // a step was undone after CONFIRMED
	uncancelled                            // a step was done after CANCELLED
	places
)

// in brings a new order into a status by the shortest way.
func in(status Status) *life {
	l := begin()
	reserved, charged, scheduled := Answer{Reserve, Done, 1, ""}, Answer{Charge, Done, 2, ""}, Answer{Ship, Done, 1, ""}
	for _, f := range map[Status][]Fact{
		Placed:      {},
		Reserved:    {reserved},
		Charged:     {reserved, charged},
		Confirmed:   {reserved, charged, scheduled},
		Cancelling:  {reserved, charged, Cancel{}},
		Cancelled:   {Answer{Reserve, Rejected, 1, "short"}},
		unanswered:  {reserved, charged, Cancel{}, Answer{Ship, Undone, 2, ""}, DeadlinePassed{}},
		unconfirmed: {reserved, charged, scheduled, Answer{Ship, Undone, 2, ""}},
		uncancelled: {Answer{Reserve, Rejected, 1, "short"}, charged},
	}[status] {
		now := t0
		if _, late := f.(DeadlinePassed); late {
			now = t0.Add(policy.CompensateAfter)
		}
		if _, _, err := l.tell(f, now); err != nil {
			panic(err)
		}
	}
	return l
}

func TestShortestWays(t *testing.T) {
	t.Parallel()
	for s := Placed; s < places; s++ {
		if s == NeedsOperator {
			continue
		}
		if got := in(s).state.Status; got != min(s, NeedsOperator) {
			t.Errorf("way to status %d ends in %d", s, got)
		}
	}
}

// TestEveryStatusMeetsEveryFact is the whole saga in one table. A cell names
// the status after the fact and the commands sent: "+" does a step, "-" undoes
// it. "." changes nothing. Versions of the answers are higher than any seen.
func TestEveryStatusMeetsEveryFact(t *testing.T) {
	t.Parallel()
	by := By{Operator: "grace", Reason: "called the bank"}
	facts := []struct {
		name string
		fact Fact
	}{
		{"reserved", Answer{Reserve, Done, 9, ""}},
		{"reserve rejected", Answer{Reserve, Rejected, 9, ""}},
		{"released", Answer{Reserve, Undone, 9, ""}},
		{"charged", Answer{Charge, Done, 9, ""}},
		{"charge declined", Answer{Charge, Rejected, 9, ""}},
		{"refunded", Answer{Charge, Undone, 9, ""}},
		{"scheduled", Answer{Ship, Done, 9, ""}},
		{"shipment refused", Answer{Ship, Rejected, 9, ""}},
		{"shipment cancelled", Answer{Ship, Undone, 9, ""}},
		{"early deadline", DeadlinePassed{}},
		{"deadline", DeadlinePassed{}},
		{"last deadline", DeadlinePassed{}},
		{"customer cancels", Cancel{}},
		{"operator cancels", Cancel{By: by}},
		{"resume", Resume{By: by}},
		{"settle confirmed", Settle{By: by, As: Confirmed}},
		{"settle cancelled", Settle{By: by, As: Cancelled}},
	}
	const wishes = 5 // the last facts: what a person wants twice is done once
	// The last three columns are NEEDS_OPERATOR: reached because voiding the payment was
	// never answered, because the shipment was undone after the confirmation, and
	// because the payment was charged after the cancellation.
	table := `
fact               | PLACED        | RESERVED      | CHARGED       | CONFIRMED | CANCELLING    | CANCELLED | unanswered    | unconfirmed   | uncancelled
reserved           | RESERVED +2   | .             | .             | .         | .             | OPERATOR  | .             | .             | OPERATOR
reserve rejected   | CANCELLED     | CANCELLING -2 | CANCELLING -3 | OPERATOR  | .             | .         | .             | .             | .
released           | CANCELLING -1 | CANCELLING -2 | CANCELLING -3 | OPERATOR  | CANCELLING    | .         | CANCELLING    | .             | .
charged            | .             | CHARGED +3    | .             | .         | .             | OPERATOR  | .             | .             | .
charge declined    | .             | CANCELLING -1 | CANCELLING -3 | OPERATOR  | .             | .         | .             | .             | .
refunded           | .             | CANCELLING -2 | CANCELLING -3 | OPERATOR  | CANCELLING    | .         | CANCELLING -1 | .             | CANCELLED
scheduled          | .             | .             | CONFIRMED     | .         | .             | OPERATOR  | OPERATOR      | .             | OPERATOR
shipment refused   | .             | .             | CANCELLING -2 | OPERATOR  | .             | .         | .             | .             | .
shipment cancelled | .             | .             | CANCELLING -3 | OPERATOR  | CANCELLING -2 | .         | .             | .             | .
early deadline     | .             | .             | .             | .         | .             | .         | .             | .             | .
deadline           | PLACED +1     | RESERVED +2   | CHARGED +3    | .         | CANCELLING -3 | .         | .             | .             | .
last deadline      | CANCELLING -1 | CANCELLING -2 | CANCELLING -3 | .         | OPERATOR      | .         | .             | .             | .
customer cancels   | CANCELLING -1 | CANCELLING -2 | CANCELLING -3 | refused   | .             | .         | refused       | refused       | refused
operator cancels   | CANCELLING -1 | CANCELLING -2 | CANCELLING -3 | refused   | .             | .         | CANCELLING -2 | CANCELLING -3 | CANCELLING -2
resume             | .             | .             | .             | .         | .             | .         | CANCELLING -2 | refused       | CANCELLING -2
settle confirmed   | refused       | refused       | refused       | .         | refused       | refused   | CONFIRMED     | CONFIRMED     | CONFIRMED
settle cancelled   | refused       | refused       | refused       | refused   | refused       | .         | CANCELLED -2 -1 | CANCELLED     | CANCELLED -2`
	rows := strings.Split(strings.TrimSpace(table), "\n")[1:]
	if len(rows) != len(facts) {
		t.Fatalf("%d rows for %d facts", len(rows), len(facts))
	}
	at := map[string]time.Duration{"deadline": policy.ResendAfter, "last deadline": policy.CompensateAfter}
	columns := []Status{Placed, Reserved, Charged, Confirmed, Cancelling, Cancelled, unanswered, unconfirmed, uncancelled}
	for i, f := range facts {
		cells := strings.Split(rows[i], "|")
		if len(cells) != len(columns)+1 || strings.TrimSpace(cells[0]) != f.name {
			t.Fatalf("row %d: %q is not the row of %q", i, rows[i], f.name)
		}
		for c, s := range columns {
			want := strings.TrimSpace(cells[c+1])
			l := in(s)
			events, commands, err := l.tell(f.fact, t0.Add(at[f.name]))
			if got := summary(l.state.Status, events, commands, err); got != want {
				t.Errorf("column %d meets %s: %q, want %q", c+1, f.name, got, want)
			}
			l.check(t)
			if i < len(facts)-wishes {
				continue
			}
			if events, commands, _ := l.tell(f.fact, t0.Add(at[f.name])); len(events)+len(commands) > 0 {
				t.Errorf("column %d meets %s twice: %+v %+v, want nothing more", c+1, f.name, events, commands)
			}
		}
	}
}

// check compares the state with the fold, and holds the state to what its
// readers rely on.
func (l *life) check(t interface{ Errorf(string, ...any) }) {
	s := l.state
	if diff := cmp.Diff(s, Fold(l.events)); diff != "" {
		t.Errorf("state and fold differ: %s", diff)
	}
	if cancelled := s.Status == Cancelling || s.Status == Cancelled; s.Status != NeedsOperator && cancelled != (s.Reason != NoReason) {
		t.Errorf("%v with the reason %d", s.Status, s.Reason)
	}
	if s.Status != NeedsOperator && (s.Status == Cancelling) != (s.Undo != 0) {
		t.Errorf("%v with %b to undo", s.Status, s.Undo)
	}
	if s.Status.Open() == s.Deadline.IsZero() {
		t.Errorf("%v with the deadline %v", s.Status, s.Deadline)
	}
}

func summary(after Status, events []Event, commands []Command, err error) string {
	switch {
	case err != nil && len(events)+len(commands) == 0:
		return "refused"
	case err != nil:
		return "refused and done"
	case len(events) == 0 && len(commands) == 0:
		return "."
	}
	s := strings.TrimPrefix(after.String(), "NEEDS_")
	for _, c := range commands {
		s += fmt.Sprintf(" %s%d", map[bool]string{true: "-", false: "+"}[c.Undo], c.Step)
	}
	return s
}

func TestDuplicatesChangeNothing(t *testing.T) {
	t.Parallel()
	l := in(Confirmed)
	for step := Reserve; step <= Ship; step++ {
		for outcome := Done; outcome <= Undone; outcome++ {
			for v := int64(0); v <= l.state.Seen[step]; v++ {
				if events, commands, _ := l.tell(Answer{step, outcome, v, ""}, t0); len(events)+len(commands) > 0 {
					t.Errorf("%v, outcome %d, version %d: %v %v", step, outcome, v, events, commands)
				}
			}
		}
	}
}

func TestResendsAreFewAndSpaced(t *testing.T) {
	t.Parallel()
	l := begin()
	var waits []time.Duration
	for now := t0; l.state.Status == Placed; {
		waits = append(waits, l.state.Deadline.Sub(now))
		now = l.state.Deadline
		if _, _, err := l.tell(DeadlinePassed{}, now); err != nil {
			t.Fatal(err)
		}
	}
	want := []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 6*time.Minute + 30*time.Second}
	if diff := cmp.Diff(want, waits); diff != "" {
		t.Errorf("waits between looks: %s", diff)
	}
	if l.state.Status != Cancelling || l.state.Reason != TimedOut {
		t.Errorf("ends in %v because of %v", l.state.Status, l.state.Reason)
	}
	for i, c := range l.sent[:4] {
		if c.Step != Reserve || c.Undo || len(c.Lines) != 1 {
			t.Errorf("command %d: %+v is not the same ReserveStock", i, c)
		}
	}
}

func gbp(minor int64) money.Money { return money0("GBP", minor) }

func money0(currency string, minor int64) money.Money {
	return money.Money{Currency: currency, Minor: minor}
}
