// Package order is the order and its checkout saga, pure: no clock, no
// database, no broker. The truth about an order is its events; State is their
// fold (Evolve), and every change is decided by Decide.
package order

import (
	"time"

	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/money"
)

// Status is where a checkout stands.
//
//	PLACED --reserved--> RESERVED --charged--> CHARGED --scheduled--> CONFIRMED
//	   |                    |                     |                      |
//	   |rejected            |                     |                      |
//	   v                    v                     v                      |
//	CANCELLED <--undone-- CANCELLING (rejected, cancelled, too late)     |
//	   |                  |     ^                                        |
//	   |      never answered   resumed, cancelled by an operator         |
//	   |                  v     |                                        |
//	   +--contradicted--> NEEDS_OPERATOR <--contradicted-----------------+
//	                            |
//	                            +--settled--> CONFIRMED or CANCELLED
//
// CONFIRMED is the point of no return for the customer. CANCELLED is entered
// only when every step that was sent, and not rejected, was answered undone, or
// when an operator says that it is so.
type Status uint8

// The numbers are stored and published: they never change.
const (
	Placed        Status = 1
	Reserved      Status = 2
	Charged       Status = 3
	Confirmed     Status = 4
	Cancelling    Status = 5
	Cancelled     Status = 6
	NeedsOperator Status = 7
)

// Open says whether the saga still has something to do.
func (s Status) Open() bool {
	switch s {
	case Placed, Reserved, Charged, Cancelling:
		return true
	case Confirmed, Cancelled, NeedsOperator:
	}
	return false
}

// pending is the step whose answer a forward status waits for.
func (s Status) pending() Step {
	switch s {
	case Placed:
		return Reserve
	case Reserved:
		return Charge
	case Charged:
		return Ship
	case Confirmed, Cancelling, Cancelled, NeedsOperator:
	}
	return NoStep
}

// Step is one step of the checkout; they are done in this order and undone in
// the reverse.
type Step uint8

// The numbers are stored and published: they never change.
const (
	NoStep  Step = 0
	Reserve Step = 1
	Charge  Step = 2
	Ship    Step = 3
)

// Name is the step in metrics.
func (s Step) Name() string {
	switch s {
	case Reserve:
		return "reserve"
	case Charge:
		return "charge"
	case Ship:
		return "ship"
	case NoStep:
	}
	return "none"
}

// Steps is a set of steps.
type Steps uint8

// Has says whether the step is in the set.
func (s Steps) Has(step Step) bool { return s&(1<<step) != 0 }

// With is the set and the step.
func (s Steps) With(step Step) Steps { return s | 1<<step }

// Without is the set less the step.
func (s Steps) Without(step Step) Steps { return s &^ (1 << step) }

// Last is the step that is undone next: compensation runs last first.
func (s Steps) Last() Step {
	for step := Ship; step > NoStep; step-- {
		if s.Has(step) {
			return step
		}
	}
	return NoStep
}

// upTo is the set of all steps up to and including this one.
func upTo(last Step) Steps {
	var s Steps
	for step := Reserve; step <= last; step++ {
		s = s.With(step)
	}
	return s
}

// Reason says why an order was cancelled.
type Reason uint8

// The numbers are stored and published: they never change.
const (
	NoReason        Reason = 0
	ByCustomer      Reason = 1
	OutOfStock      Reason = 2
	PaymentDeclined Reason = 3
	ShipmentRefused Reason = 4
	TimedOut        Reason = 5
	StepWasUndone   Reason = 6
	ByOperator      Reason = 7
)

// rejectedBecause names the reason of a cancellation that a step's rejection causes.
func rejectedBecause(step Step) Reason {
	switch step {
	case Reserve:
		return OutOfStock
	case Charge:
		return PaymentDeclined
	case Ship:
		return ShipmentRefused
	case NoStep:
	}
	return NoReason
}

// Line is one SKU of an order at the price agreed.
type Line struct {
	SKU      string
	Quantity int32
	Price    money.Money // of one unit
}

// State is the fold of an order's events.
type State struct {
	ID       ids.ID
	Customer string
	Status   Status
	Version  int64
	Total    money.Money
	Country  string // ISO 3166-1 alpha-2
	// Lines are there when the state was folded from the events. The stored
	// projection leaves them out: only a re-sent ReserveStock needs them.
	Lines []Line
	// Undo are the steps still to be undone while the order is cancelling, or
	// waits for an operator.
	Undo Steps
	// Seen is, for each step, the highest version of the participant's record
	// that an event of this order has taken in. An answer at or below it is a
	// duplicate, however late it comes.
	Seen [Ship + 1]int64
	// Resends counts the re-sent commands since Since.
	Resends int32
	// Since is when the present wait began.
	Since time.Time
	// Deadline is when the sweeper looks at the order; zero when nothing is waited for.
	Deadline  time.Time
	Reason    Reason
	Detail    string
	CreatedAt time.Time
	UpdatedAt time.Time
	// Key and RequestHash make PlaceOrder idempotent.
	Key         string
	RequestHash []byte
	// Trace is the W3C traceparent of the placing if that trace is recorded. It is
	// no part of any event: only the stored projection has it.
	Trace string
}

// Policy is how long the saga waits. Its deadlines are written into the
// events, so that a later change never alters a fold.
type Policy struct {
	// ResendAfter is the wait before a command is sent again; it doubles each time.
	ResendAfter time.Duration
	// MaxResends bounds the re-sends of one command.
	MaxResends int32
	// CompensateAfter is how long one step may take before the order is
	// cancelled, or one undoing before an operator is called.
	CompensateAfter time.Duration
}

func (s Status) String() string {
	switch s {
	case Placed:
		return "PLACED"
	case Reserved:
		return "RESERVED"
	case Charged:
		return "CHARGED"
	case Confirmed:
		return "CONFIRMED"
	case Cancelling:
		return "CANCELLING"
	case Cancelled:
		return "CANCELLED"
	case NeedsOperator:
		return "NEEDS_OPERATOR"
	}
	return "UNKNOWN"
}

// Awaits is the step whose answer, or whose undoing's answer, the order waits for.
func (s State) Awaits() Step {
	if s.Status == Cancelling {
		return s.Undo.Last()
	}
	return s.Status.pending()
}
