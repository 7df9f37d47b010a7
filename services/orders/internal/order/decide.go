package order

import (
	"errors"
	"fmt"
	"time"

	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/money"
)

// Refusals of a person's wish. Answers and deadlines are never refused: what is
// late or repeated decides nothing.
var (
	// ErrConfirmed means that the order is past the point of no return.
	ErrConfirmed = errors.New("order is confirmed and can't be cancelled")
	// ErrNeedsOperator means that an operator must end the order first.
	ErrNeedsOperator = errors.New("order waits for an operator")
	// ErrNothingToResume means that no command is outstanding.
	ErrNothingToResume = errors.New("order waits for nothing that could be taken up again")
	// ErrStillOpen means that the order moves by itself and is not to be settled.
	ErrStillOpen = errors.New("order is still open")
	// ErrEnded means that the order has ended in another way than it is settled.
	ErrEnded = errors.New("order has ended otherwise")
)

// Fact is what an order can be told.
type Fact interface{ fact() }

// Answer is what a participant says about one step.
type Answer struct {
	Step    Step
	Outcome Outcome
	Version int64 // of the participant's record
	Detail  string
}

// Outcome of a step.
type Outcome uint8

const (
	// Done means that the stock is held, or the money taken, or the shipment scheduled.
	Done Outcome = iota + 1
	// Rejected means that nothing was done, nor will be.
	Rejected
	// Undone means that whatever was done is undone, and can't be done any more.
	Undone
)

// Cancel is the wish to undo the order: the customer's, or an operator's, who may
// also begin the undoing of an order that waits for one.
type Cancel struct {
	Detail string // in the customer's words
	By     By     // zero for the customer
}

// DeadlinePassed is the sweeper's look at an order that waits.
type DeadlinePassed struct{}

func (Answer) fact()         {}
func (Cancel) fact()         {}
func (DeadlinePassed) fact() {}
func (Resume) fact()         {}
func (Settle) fact()         {}

// Command asks a participant to do a step, or to undo it.
type Command struct {
	Order   ids.ID
	Step    Step
	Undo    bool
	Lines   []Line      // for Reserve
	Total   money.Money // for Charge
	Country string      // for Ship
}

// Place is the first decision of an order's life.
func Place(e WasPlaced, now time.Time, p Policy) (WasPlaced, Command) {
	e.Deadline = now.Add(p.ResendAfter)
	return e, Command{Order: e.ID, Step: Reserve, Lines: e.Lines}
}

// Decide says what follows from a fact: the events to store and the commands to
// send, in order. No events means that the fact changes nothing. Only a person's
// wish can be refused: Cancel, Resume and Settle, with one of the errors above.
func Decide(s State, f Fact, now time.Time, p Policy) ([]Event, []Command, error) {
	d := decision{s: s, now: now, p: p}
	var err error
	switch f := f.(type) {
	case Answer:
		d.answer(f)
	case Cancel:
		err = d.cancel(f)
	case Resume:
		err = d.resume(f)
	case Settle:
		err = d.settle(f)
	case DeadlinePassed:
		if s.Status.Open() && !now.Before(s.Deadline) {
			d.overdue()
		}
	}
	return d.events, d.commands, err
}

type decision struct {
	s        State
	now      time.Time
	p        Policy
	events   []Event
	commands []Command
}

// deadline of a command that is sent now.
func (d *decision) deadline() time.Time { return d.now.Add(d.p.ResendAfter) }

func (d *decision) emit(e Event) { d.events = append(d.events, e) }

func (d *decision) send(step Step, undo bool) {
	c := Command{Order: d.s.ID, Step: step, Undo: undo}
	if !undo {
		switch step {
		case Reserve:
			c.Lines = d.s.Lines
		case Charge:
			c.Total = d.s.Total
		case Ship:
			c.Country = d.s.Country
		case NoStep:
		}
	}
	d.commands = append(d.commands, c)
}

// answer sorts a participant's word by where the order stands.
func (d *decision) answer(a Answer) {
	if a.Step == NoStep || d.known(a) {
		return
	}
	switch d.s.Status {
	case Placed, Reserved, Charged:
		d.forward(a)
	case Cancelling, NeedsOperator:
		d.backward(a)
	case Confirmed:
		if a.Outcome != Done {
			d.contradicted(a, "was undone after the order was confirmed", 0)
		}
	case Cancelled:
		if a.Outcome == Done {
			d.contradicted(a, "was done after the order was cancelled", Steps(0).With(a.Step))
		}
	}
}

// known says that an answer is not newer than what was taken in: a duplicate.
// But a participant that is asked a second time to undo says the same again, and
// that is the answer which is waited for.
func (d *decision) known(a Answer) bool {
	seen := d.s.Seen[a.Step]
	repeated := a.Version == seen && a.Outcome == Undone && d.s.Undo.Has(a.Step)
	return a.Version <= seen && !repeated
}

// forward handles an answer while the order goes ahead. An answer for a step
// that was not sent yet comes from a life that this database has forgotten (it
// was restored to an earlier moment): it is left alone, since the step's
// command will get it again.
func (d *decision) forward(a Answer) {
	pending := d.s.Status.pending()
	switch {
	case a.Step > pending:
	case a.Step == pending && a.Outcome == Done:
		e := StepDone{Step: a.Step, Answer: a.Version}
		if a.Step != Ship {
			e.Deadline = d.deadline()
			d.send(a.Step+1, false)
		}
		d.emit(e)
	case a.Step == pending && a.Outcome == Rejected:
		// A rejected step was not done: only those before it are undone.
		d.compensate(CancellationStarted{Reason: rejectedBecause(a.Step), Detail: a.Detail, Undo: upTo(a.Step - 1)})
	case a.Outcome == Done:
	default:
		d.compensate(CancellationStarted{Reason: StepWasUndone, Detail: a.Detail, Undo: upTo(pending)})
	}
}

// backward handles an answer while steps are being undone, or should be.
func (d *decision) backward(a Answer) {
	undoing := d.s.Undo.Has(a.Step)
	switch {
	case a.Outcome == Undone && undoing:
		// Also when an operator was called for it: answered after all, it goes on
		// by itself.
		d.undone(a)
	case a.Outcome != Done || undoing:
		// A forward answer needs nothing: its undoing is on its way.
	case d.s.Status == Cancelling:
		// Done, though nobody here remembers having sent it: see forward.
		d.compensate(CancellationStarted{Reason: d.s.Reason, Detail: d.s.Detail, Undo: d.s.Undo.With(a.Step)})
	case d.s.Reason != NoReason:
		d.contradicted(a, "was done after the order was cancelled", d.s.Undo.With(a.Step))
	}
}

// contradicted calls an operator, and takes the answer in, so that its duplicate
// does not call again.
func (d *decision) contradicted(a Answer, how string, undo Steps) {
	d.emit(OperatorNeeded{Detail: fmt.Sprintf("%v %s", a.Step, how), Step: a.Step, Answer: a.Version, Undo: undo})
}

// compensate begins the undoing, last step first.
func (d *decision) compensate(e CancellationStarted) {
	if e.Undo == 0 {
		d.emit(WasCancelled{Reason: e.Reason, Detail: e.Detail})
		return
	}
	e.Deadline = d.deadline()
	d.emit(e)
	d.send(e.Undo.Last(), true)
}

// undone takes in one undoing and asks for the next.
func (d *decision) undone(a Answer) {
	left := d.s.Undo.Without(a.Step)
	d.emit(StepUndone{Step: a.Step, Answer: a.Version, Deadline: d.deadline()})
	switch {
	case left == 0:
		d.emit(WasCancelled{Reason: d.s.Reason, Detail: d.s.Detail})
	case left.Last() != d.s.Undo.Last():
		d.send(left.Last(), true)
	}
}

// overdue re-sends a few times, then gives up in the direction of safety.
func (d *decision) overdue() {
	cancelling := d.s.Status == Cancelling
	step := d.s.Awaits()
	giveUp := d.s.Since.Add(d.p.CompensateAfter)
	switch {
	case d.now.Before(giveUp) && d.s.Resends < d.p.MaxResends:
		next := d.now.Add(d.p.ResendAfter << (d.s.Resends + 1))
		if d.s.Resends+1 == d.p.MaxResends || next.After(giveUp) {
			next = giveUp
		}
		d.emit(StepResent{Step: step, Resends: d.s.Resends + 1, Deadline: next})
		d.send(step, cancelling)
	case cancelling:
		d.emit(OperatorNeeded{Detail: fmt.Sprintf("undoing %v was never answered", step)})
	default:
		d.compensate(CancellationStarted{Reason: TimedOut, Detail: fmt.Sprintf("%v was not answered in time", step), Undo: upTo(step)})
	}
}

func (s Step) String() string {
	switch s {
	case Reserve:
		return "reserving the stock"
	case Charge:
		return "charging the payment"
	case Ship:
		return "scheduling the shipment"
	case NoStep:
	}
	return "no step"
}
