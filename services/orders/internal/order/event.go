package order

import (
	"time"

	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/money"
)

// Event is something that was decided about an order. Events are stored for
// ever; the fields hold all that a fold needs.
type Event interface{ event() }

// Recorded is an event in its place in the order's life.
type Recorded struct {
	Order   ids.ID
	Version int64 // 1 for the first; no gap
	At      time.Time
	Event   Event
	// Trace is the W3C traceparent of the message that brought the event; empty
	// for one that was read from the store.
	Trace string
}

// WasPlaced is version 1.
type WasPlaced struct {
	ID          ids.ID
	Customer    string
	Key         string
	RequestHash []byte
	Lines       []Line
	Total       money.Money
	Country     string
	Deadline    time.Time
}

// StepDone says that the pending step was done: RESERVED, CHARGED, CONFIRMED.
type StepDone struct {
	Step     Step
	Answer   int64 // the version of the participant's record
	Deadline time.Time
}

// CancellationStarted says that the steps sent are being undone.
type CancellationStarted struct {
	Reason   Reason
	Detail   string
	Undo     Steps
	Deadline time.Time
	By       By // the operator who decided it; zero for the customer or the platform
}

// StepUndone says that one step was undone.
type StepUndone struct {
	Step     Step
	Answer   int64 // the version of the participant's record
	Deadline time.Time
}

// WasCancelled says that nothing is held and nothing is charged.
type WasCancelled struct {
	Reason Reason
	Detail string
}

// StepResent says that a command was not answered in time and was sent again.
type StepResent struct {
	Step     Step
	Resends  int32
	Deadline time.Time
}

// OperatorNeeded says that the platform can't end the order by itself: an undoing
// was never answered (NoStep), or an answer contradicts the order's end.
type OperatorNeeded struct {
	Detail string
	Step   Step  // whose answer contradicts
	Answer int64 // the version of the participant's record
	Undo   Steps // what is to be undone when the order is resumed
}

// Resumed says that an operator let the order wait anew.
type Resumed struct {
	By       By
	Undo     Steps // still to be undone; none when the order goes ahead
	Deadline time.Time
}

// Settled says that an operator has ended the order.
type Settled struct {
	By By
	As Status // Confirmed or Cancelled
}

// By is the operator who decided something, and why: the audit trail is in the
// order's own events. The reason is for operators: the customer reads the detail.
type By struct{ Operator, Reason string }

// Decided tells which operator decided an event, and why; false when none did.
func Decided(e Event) (By, bool) {
	switch e := e.(type) {
	case CancellationStarted:
		return e.By, e.By != By{}
	case Resumed:
		return e.By, true
	case Settled:
		return e.By, true
	}
	return By{}, false
}

func (WasPlaced) event()           {}
func (StepDone) event()            {}
func (CancellationStarted) event() {}
func (StepUndone) event()          {}
func (WasCancelled) event()        {}
func (StepResent) event()          {}
func (OperatorNeeded) event()      {}
func (Resumed) event()             {}
func (Settled) event()             {}

// Evolve folds one event into the state. It never fails: what was decided is a
// fact.
func Evolve(s State, r Recorded) State {
	s.Version, s.UpdatedAt = r.Version, r.At
	switch e := r.Event.(type) {
	case WasPlaced:
		s.ID, s.Customer, s.Key, s.RequestHash = e.ID, e.Customer, e.Key, e.RequestHash
		s.Lines, s.Total, s.Country = e.Lines, e.Total, e.Country
		s.CreatedAt = r.At
		s.enter(Placed, r.At, e.Deadline)
	case StepDone:
		s.Seen[e.Step] = e.Answer
		s.enter(Placed+Status(e.Step), r.At, e.Deadline)
	case CancellationStarted:
		s.Reason, s.Detail, s.Undo = e.Reason, e.Detail, e.Undo
		s.enter(Cancelling, r.At, e.Deadline)
	case StepUndone:
		s.Seen[e.Step] = e.Answer
		s.Undo = s.Undo.Without(e.Step)
		s.enter(Cancelling, r.At, e.Deadline)
	case WasCancelled:
		s.Reason, s.Detail = e.Reason, e.Detail
		s.enter(Cancelled, r.At, time.Time{})
	case StepResent:
		s.Resends, s.Deadline = e.Resends, e.Deadline
	case OperatorNeeded:
		s.Detail = e.Detail
		if e.Step != NoStep {
			s.Seen[e.Step], s.Undo = e.Answer, e.Undo
		}
		s.enter(NeedsOperator, r.At, time.Time{})
	case Resumed:
		status := s.Status
		if e.Undo != 0 {
			s.Undo, status = e.Undo, Cancelling
		}
		s.enter(status, r.At, e.Deadline)
	case Settled:
		s.settle(e)
		s.enter(e.As, r.At, time.Time{})
	}
	return s
}

// settle forgets what was still to be undone: a person has seen to it. A reason
// of cancellation stands in every cancelled order, and in no confirmed one.
func (s *State) settle(e Settled) {
	s.Undo, s.Detail = 0, "settled by an operator"
	switch {
	case e.As == Confirmed:
		s.Reason = NoReason
	case s.Reason == NoReason:
		s.Reason = ByOperator
	}
}

// enter begins a new wait.
func (s *State) enter(status Status, at, deadline time.Time) {
	s.Status, s.Since, s.Deadline, s.Resends = status, at, deadline, 0
}

// Fold is the state after all events, oldest first.
func Fold(events []Recorded) State {
	var s State
	for _, e := range events {
		s = Evolve(s, e)
	}
	return s
}
