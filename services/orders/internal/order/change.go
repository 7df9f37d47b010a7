package order

import "iter"

// Change is what one decision has added to an order.
type Change struct {
	Before State // zero when the order was placed by it
	After  State
	Events []Recorded
	Trace  string // W3C traceparent of what was decided about
}

// Move is one event with the order right before and right after it.
type Move struct {
	Before, After State
	Recorded
}

// Moves are the change's events, one by one.
func (c Change) Moves() iter.Seq[Move] {
	return func(yield func(Move) bool) {
		before := c.Before
		for _, e := range c.Events {
			after := Evolve(before, e)
			if !yield(Move{Before: before, After: after, Recorded: e}) {
				return
			}
			before = after
		}
	}
}

// Entered says whether the order came into another status.
func (m Move) Entered() bool { return m.Before.Status != m.After.Status }

// Ended says whether the order stopped moving by itself. One that an operator
// resumes ends a second time.
func (m Move) Ended() bool { return m.Before.Status.Open() && !m.After.Status.Open() }

// Answered is the step whose command was answered with this event, and whether the
// command was to undo it; NoStep when the event is no answer to what was waited
// for. The order has waited since Before.Since.
func (m Move) Answered() (step Step, undo bool) {
	awaited := m.Before.Awaits()
	switch e := m.Event.(type) {
	case StepDone:
		return e.Step, false
	case StepUndone:
		// Its command was sent at Before.Since only if it was this one's turn.
		if e.Step == awaited {
			return e.Step, true
		}
	case CancellationStarted:
		if awaited != NoStep && e.Reason == rejectedBecause(awaited) && m.Before.Status != Cancelling {
			return awaited, false
		}
	case WasCancelled:
		// Only the rejection of the first step cancels at once: nothing is to be undone.
		if m.Before.Status == Placed && e.Reason == rejectedBecause(Reserve) {
			return Reserve, false
		}
	}
	return NoStep, false
}
