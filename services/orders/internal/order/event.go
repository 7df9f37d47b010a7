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

// OperatorNeeded says that the platform can't end the order by itself.
type OperatorNeeded struct{ Detail string }

func (WasPlaced) event()           {}
func (StepDone) event()            {}
func (CancellationStarted) event() {}
func (StepUndone) event()          {}
func (WasCancelled) event()        {}
func (StepResent) event()          {}
func (OperatorNeeded) event()      {}

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
		s.enter(NeedsOperator, r.At, time.Time{})
	}
	return s
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
