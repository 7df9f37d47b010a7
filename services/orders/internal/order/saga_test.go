package order

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// participant is the contract that inventory and payments keep: a decision is
// repeated, an undoing makes the step impossible, versions rise.
type participant struct {
	version int64
	outcome Outcome // zero before the first command
	rejects bool    // what it will decide
	did     int     // times that the step was really done
	undid   int     // times that it was really undone
}

func (p *participant) handle(c Command) Answer {
	switch {
	case !c.Undo && p.outcome == 0:
		p.version++
		p.outcome = Done
		if p.rejects {
			p.outcome = Rejected
		} else {
			p.did++
		}
	case !c.Undo && p.outcome == Undone:
		return Answer{Step: c.Step, Outcome: Rejected, Version: p.version, Detail: "cancelled"}
	case c.Undo && p.outcome != Undone:
		if p.outcome == Done {
			p.undid++
		}
		p.version++
		p.outcome = Undone
	}
	return Answer{Step: c.Step, Outcome: p.outcome, Version: p.version}
}

// world is one order, its participants and a network that duplicates,
// reorders, delays and, when it may, loses.
type world struct {
	*life
	now          time.Time
	participants [Ship + 1]participant
	commands     []Command
	answers      []Answer
	undoOrder    []Step
	cancelled    bool
	meddled      bool // a participant was changed by another hand
	operated     bool // an operator has changed something
	lossy        bool // messages may be lost
}

func (w *world) tell(t *rapid.T, f Fact) {
	before := len(w.sent)
	events, commands, err := w.life.tell(f, w.now)
	if err != nil && !isWish(f) {
		t.Fatalf("%+v was refused: %v", f, err)
	}
	if _, settles := f.(Settle); len(w.sent)-before > 1 && !settles {
		t.Fatalf("%+v sent %d commands", f, len(w.sent)-before)
	}
	for _, e := range events {
		_, by := Decided(e)
		w.operated = w.operated || by
		switch e.(type) {
		case CancellationStarted, Resumed: // the undoing begins, or begins again
			w.undoOrder = nil
		}
	}
	w.commands = append(w.commands, commands...)
	for _, c := range commands {
		n := len(w.undoOrder)
		if c.Undo && n > 0 && c.Step > w.undoOrder[n-1] {
			t.Fatalf("%v is undone after %v", c.Step, w.undoOrder)
		}
		if c.Undo && (n == 0 || w.undoOrder[n-1] != c.Step) {
			w.undoOrder = append(w.undoOrder, c.Step)
		}
	}
	w.check(t)
}

func isWish(f Fact) bool {
	switch f.(type) {
	case Cancel, Resume, Settle:
		return true
	}
	return false
}

// operate lets an operator do anything at any time, sensible or not.
func (w *world) operate(t *rapid.T) {
	w.tell(t, rapid.SampledFrom([]Fact{
		Cancel{By: grace}, Resume{By: grace},
		Settle{By: grace, As: Confirmed}, Settle{By: grace, As: Cancelled},
	}).Draw(t, "wish"))
}

// meddle lets a participant be changed by another hand: what was done is undone.
func (w *world) meddle(t *rapid.T) {
	step := Step(rapid.IntRange(int(Reserve), int(Ship)).Draw(t, "step"))
	if w.participants[step].outcome == Done {
		w.meddled = true
		w.answers = append(w.answers, w.participants[step].handle(Command{Step: step, Undo: true}))
	}
}

// take removes one element, or only copies it when the network duplicates.
func take[T any](t *rapid.T, bag *[]T, duplicate bool) (v T) {
	i := rapid.IntRange(0, len(*bag)-1).Draw(t, "message")
	v = (*bag)[i]
	if !duplicate {
		*bag = append((*bag)[:i:i], (*bag)[i+1:]...)
	}
	return v
}

func (w *world) step(t *rapid.T, kinds int) {
	duplicate := rapid.IntRange(0, 4).Draw(t, "duplicate") == 0
	switch rapid.IntRange(0, kinds-1).Draw(t, "what") {
	case 0, 1, 2, 3:
		if len(w.commands) > 0 {
			c := take(t, &w.commands, duplicate)
			w.answers = append(w.answers, w.participants[c.Step].handle(c))
		}
	case 4, 5, 6:
		if len(w.answers) > 0 {
			w.tell(t, take(t, &w.answers, duplicate))
		}
	case 7:
		if !w.cancelled {
			w.cancelled = true
			w.tell(t, Cancel{})
		}
	case 8:
		w.now = w.now.Add(time.Duration(rapid.IntRange(0, 200).Draw(t, "seconds")) * time.Second)
		w.tell(t, DeadlinePassed{})
	case 9:
		if w.lossy && len(w.commands) > 0 {
			take(t, &w.commands, false)
		} else if w.lossy && len(w.answers) > 0 && !w.meddled { // an answer that nobody asked for is not given again
			take(t, &w.answers, false)
		}
	case 10:
		w.operate(t)
	case 11:
		w.meddle(t)
	}
}

// drain delivers everything and lets the deadlines pass until nothing is left to do.
func (w *world) drain(t *rapid.T) {
	for range 100 {
		for len(w.commands)+len(w.answers) > 0 {
			for len(w.commands) > 0 {
				c := take(t, &w.commands, false)
				w.answers = append(w.answers, w.participants[c.Step].handle(c))
			}
			for len(w.answers) > 0 {
				w.tell(t, take(t, &w.answers, false))
			}
		}
		if !w.state.Status.Open() {
			return
		}
		w.now = w.state.Deadline
		w.tell(t, DeadlinePassed{})
	}
	t.Fatalf("not terminal: %+v", w.state)
}

const (
	alone        = 10 // kinds of steps in a world without operators
	withOperator = 12
)

// run lets anything happen, then heals the world.
func run(t *rapid.T, kinds int) *world {
	w := &world{life: begin(), now: t0}
	w.commands = append(w.commands, w.sent...)
	for s := Reserve; s <= Ship; s++ {
		w.participants[s].rejects = rapid.IntRange(0, 4).Draw(t, "rejects") == 0
	}
	w.lossy = rapid.Bool().Draw(t, "lossy")
	for range rapid.IntRange(0, 60).Draw(t, "steps") {
		w.step(t, kinds)
	}
	w.drain(t)
	return w
}

func TestSagaEndsAndTheBooksAgree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := run(t, alone)
		w.books(t)
		// Only time may bring this about; nobody here contradicts himself.
		if w.state.Status == NeedsOperator && !strings.HasSuffix(w.state.Detail, "was never answered") {
			t.Fatalf("an operator is called for no reason: %s", w.state.Detail)
		}
	})
}

// TestOperatorsEndWhatIsLeft lets operators do anything in a world in which
// participants are also changed by other hands. In the end, whatever needs an
// operator can be brought to CANCELLED with nothing held and nothing charged; and
// only an order that was settled against the facts has wrong books.
func TestOperatorsEndWhatIsLeft(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := run(t, withOperator)
		if w.state.Status == NeedsOperator {
			w.tell(t, Resume{By: grace})
			w.drain(t)
		}
		if w.state.Status == NeedsOperator {
			w.tell(t, Cancel{By: grace})
			w.drain(t)
		}
		if w.state.Status == NeedsOperator {
			t.Fatalf("an operator could not end it: %+v", w.state)
		}
		last := len(w.events) - 1
		e, settled := w.events[last].Event.(Settled)
		if wasCancelling := Fold(w.events[:last]).Reason != NoReason; !settled || !w.lossy && e.As == Cancelled && wasCancelling {
			w.books(t)
		}
		if called := slices.ContainsFunc(w.events, func(r Recorded) bool {
			e, needed := r.Event.(OperatorNeeded)
			return needed && e.Step != NoStep
		}); called && !w.meddled && !w.operated {
			t.Fatalf("an answer contradicts, and nobody meddled: %+v", w.events)
		}
	})
}

// books compares the order with what its participants have done.
func (w *world) books(t *rapid.T) {
	for s := Reserve; s <= Ship; s++ {
		p := w.participants[s]
		if p.did > 1 || p.undid > p.did {
			t.Fatalf("%v was done %d times, undone %d times", s, p.did, p.undid)
		}
		switch w.state.Status {
		case Confirmed:
			if p.did-p.undid != 1 {
				t.Fatalf("confirmed, and %v is not done", s)
			}
		case Cancelled:
			if p.did-p.undid != 0 {
				t.Fatalf("cancelled, and %v is done", s)
			}
		case NeedsOperator:
		case Placed, Reserved, Charged, Cancelling:
			t.Fatalf("ends in %v: %s", w.state.Status, w.state.Detail)
		}
	}
	for i, e := range w.events {
		if e.Version != int64(i)+1 {
			t.Fatalf("event %d has version %d", i, e.Version)
		}
	}
}

func TestAnUndoingThatIsNeverAnsweredCallsAnOperator(t *testing.T) {
	t.Parallel()
	l := in(Cancelling)
	for range 10 {
		if _, _, err := l.tell(DeadlinePassed{}, l.state.Deadline); err != nil {
			t.Fatal(err)
		}
	}
	if l.state.Status != NeedsOperator || l.state.Detail != "undoing scheduling the shipment was never answered" {
		t.Errorf("ends in %v: %q", l.state.Status, l.state.Detail)
	}
	for _, step := range []Step{Ship, Charge, Reserve} { // answered after all: it goes on where it stood
		if _, _, err := l.tell(Answer{step, Undone, 9, ""}, l.state.UpdatedAt); err != nil {
			t.Fatal(err)
		}
	}
	if last := l.sent[len(l.sent)-1]; l.state.Status != Cancelled || last.Step != Reserve || !last.Undo {
		t.Errorf("late answers end in %v, the last command is %+v", l.state.Status, last)
	}
}

func TestRefusalsOfPricing(t *testing.T) {
	t.Parallel()
	products := map[string]Product{
		"A":    {SKU: "A", Price: gbp(255)},
		"PIN":  {SKU: "PIN", Price: gbp(1)},
		"BIG":  {SKU: "BIG", Price: gbp(1 << 60)},
		"GONE": {SKU: "GONE", Price: gbp(100), Deleted: true},
		"YEN":  {SKU: "YEN", Price: money0("JPY", 100)},
	}
	for name, c := range map[string]struct {
		wanted []Wanted
		field  string
		reason string
	}{
		"unknown":         {[]Wanted{{"A", 1}, {"NONE", 1}}, "lines[1].sku", "UNKNOWN_SKU"},
		"deleted":         {[]Wanted{{"GONE", 1}}, "lines[0].sku", "UNKNOWN_SKU"},
		"too small":       {[]Wanted{{"PIN", 29}}, "lines", "AMOUNT_TOO_SMALL"},
		"too large":       {[]Wanted{{"A", 400_000}}, "lines", "AMOUNT_TOO_LARGE"},
		"overflow":        {[]Wanted{{"BIG", 100}}, "lines[0]", "TOTAL_INVALID"},
		"two currencies":  {[]Wanted{{"A", 1}, {"YEN", 1}}, "lines[1]", "TOTAL_INVALID"},
		"foreign":         {[]Wanted{{"YEN", 1}}, "lines", "CURRENCY_NOT_SOLD"},
		"exactly minimum": {[]Wanted{{"PIN", 30}}, "", ""},
	} {
		_, _, refusal := Price(c.wanted, products)
		switch {
		case refusal == nil && c.reason == "":
		case refusal == nil || refusal.Field != c.field || refusal.Reason != c.reason:
			t.Errorf("%s: %+v, want %s %s", name, refusal, c.field, c.reason)
		}
	}
}

func TestRepeatedSKUsAreAddedUp(t *testing.T) {
	t.Parallel()
	got, refusal := FoldLines([]Wanted{{"B", 1}, {"A", 2}, {"B", 3}}, 10)
	if diff := cmp.Diff([]Wanted{{"B", 4}, {"A", 2}}, got); diff != "" || refusal != nil {
		t.Errorf("folded: %s, %v", diff, refusal)
	}
	if _, refusal := FoldLines([]Wanted{{"A", 9}, {"A", 2}}, 10); refusal == nil || refusal.Field != "lines[1].quantity" {
		t.Errorf("sum beyond the limit: %v", refusal)
	}
}
