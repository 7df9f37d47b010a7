package order

import (
	"errors"
	"fmt"
	"time"

	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/money"
)

// Refusals of a customer's wish. Answers and deadlines are never refused: what
// is late or repeated decides nothing.
var (
	// ErrConfirmed means that the order is past the point of no return.
	ErrConfirmed = errors.New("order is confirmed and can't be cancelled")
	// ErrNeedsOperator means that a person must end the order first.
	ErrNeedsOperator = errors.New("order waits for an operator")
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

// Cancel is the customer's wish to undo the order.
type Cancel struct{ Detail string }

// DeadlinePassed is the sweeper's look at an order that waits.
type DeadlinePassed struct{}

func (Answer) fact()         {}
func (Cancel) fact()         {}
func (DeadlinePassed) fact() {}

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
// send, in order. No events means that the fact changes nothing. Only Cancel
// can be refused, with ErrConfirmed or ErrNeedsOperator.
func Decide(s State, f Fact, now time.Time, p Policy) ([]Event, []Command, error) {
	d := decision{s: s, now: now, p: p}
	switch f := f.(type) {
	case Answer:
		d.answer(f)
	case Cancel:
		switch {
		case s.Status == Confirmed:
			return nil, nil, ErrConfirmed
		case s.Status == NeedsOperator:
			return nil, nil, ErrNeedsOperator
		case s.Status.pending() != NoStep:
			d.compensate(ByCustomer, f.Detail, upTo(s.Status.pending()))
		}
	case DeadlinePassed:
		if s.Status.Open() && !now.Before(s.Deadline) {
			d.overdue()
		}
	}
	return d.events, d.commands, nil
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

// answer sorts a participant's word by where the order stands. An answer that
// is not newer than what was taken in is a duplicate.
func (d *decision) answer(a Answer) {
	if a.Step == NoStep || a.Version <= d.s.Seen[a.Step] {
		return
	}
	switch d.s.Status {
	case Placed, Reserved, Charged:
		d.forward(a)
	case Cancelling, NeedsOperator:
		// A forward answer needs nothing: its undoing is on its way. An undoing
		// that an operator was called for goes on by itself when it is answered
		// after all.
		if a.Outcome == Undone && d.s.Undo.Has(a.Step) {
			d.undone(a)
		}
	case Confirmed:
		if a.Outcome != Done {
			d.emit(OperatorNeeded{Detail: fmt.Sprintf("%v was undone after the order was confirmed", a.Step)})
		}
	case Cancelled:
		if a.Outcome == Done {
			d.emit(OperatorNeeded{Detail: fmt.Sprintf("%v was done after the order was cancelled", a.Step)})
		}
	}
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
		d.compensate(rejectedBecause(a.Step), a.Detail, upTo(a.Step-1))
	case a.Outcome == Done:
	default:
		d.compensate(StepWasUndone, a.Detail, upTo(pending))
	}
}

// compensate begins the undoing, last step first.
func (d *decision) compensate(reason Reason, detail string, undo Steps) {
	if undo == 0 {
		d.emit(WasCancelled{Reason: reason, Detail: detail})
		return
	}
	d.emit(CancellationStarted{Reason: reason, Detail: detail, Undo: undo, Deadline: d.deadline()})
	d.send(undo.Last(), true)
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
		d.compensate(TimedOut, fmt.Sprintf("%v was not answered in time", step), upTo(step))
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
