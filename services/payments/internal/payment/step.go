package payment

import "time"

// Operation is one kind of call to the provider.
type Operation uint8

// The operations.
const (
	None Operation = iota
	Create
	Confirm
	Retrieve
	Cancel
	Refund
)

// String names the operation in logs and metrics.
func (o Operation) String() string {
	return [...]string{"none", "create", "confirm", "retrieve", "cancel", "refund"}[o]
}

// Call is the next thing to ask the provider. Key is its idempotency key;
// Retrieve has none.
type Call struct {
	Operation Operation
	Key       string
	// Payment is what the call is about: Create needs order and amount, the others
	// the intent's id.
	Payment Payment
}

// Outcome classifies what became of a call.
type Outcome uint8

// The outcomes.
const (
	// Unknown: it may have happened or not (timeout, lost connection, 5xx).
	Unknown Outcome = iota
	// Done: it happened; Intent tells how the intent stands.
	Done
	// Refused: the provider or the card's issuer declined the charge.
	Refused
	// Invalid: the request can't be done as the intent stands, or at all (4xx).
	Invalid
	// NotYet: nothing happened; ask the same again later (429, key in use, breaker open).
	NotYet
)

// String names the outcome in logs and metrics.
func (o Outcome) String() string {
	return [...]string{"unknown", "done", "refused", "invalid", "not_yet"}[o]
}

// Intent is how the provider's intent stands.
type Intent uint8

// The states of an intent.
const (
	IntentUnknown   Intent = iota // not told, or in between: read it again
	IntentReady                   // can be confirmed
	IntentFailed                  // was confirmed and declined: took nothing, but could be confirmed again
	IntentSucceeded               // took the money
	IntentCanceled                // can never take money
)

// Result is what the provider said.
type Result struct {
	Outcome  Outcome
	IntentID string // of Create
	Intent   Intent
	Code     string // the provider's code of a failure
	// KeySpent: the provider keeps a failure of its own for this key, and would
	// only repeat it.
	KeySpent bool
	// Refunded: a refund was refused because all has been given back already.
	Refunded bool
}

// Next returns the call that carries an open payment on. The operation is None
// when nothing is left to ask, and when the key is too old to be sent: then the
// payment waits until its next claim has renewed and stored it.
func Next(p Payment, now time.Time) Call {
	if !p.Status.Open() || p.keyExpired(now) {
		return Call{}
	}
	switch {
	case p.Captured:
		return Call{Operation: Refund, Key: p.key(":refund"), Payment: p}
	case p.IntentID == "":
		// For a void, too: the create may have been sent before. The same key finds the
		// intent, and cancelling it leaves nothing open at the provider.
		return Call{Operation: Create, Key: p.key(""), Payment: p}
	case p.Unsure:
		return Call{Operation: Retrieve, Payment: p}
	case p.Status == Voiding:
		return Call{Operation: Cancel, Key: p.key(":cancel"), Payment: p}
	default:
		return Call{Operation: Confirm, Key: p.key(":confirm"), Payment: p}
	}
}

// Apply returns the payment after the result of a call. A payment that is not
// open is returned as it is: the first definite result has settled it.
func Apply(p Payment, op Operation, r Result, now time.Time) Payment {
	if !p.Status.Open() {
		return p
	}
	p.Attempts++
	if r.KeySpent {
		p = p.nextKey(now)
	}
	if p = p.learn(op, r, now); p.Status.Open() && setback(op, r) {
		p.Setbacks++
	}
	return p
}

// setback tells a definite answer that says nothing about the money.
func setback(op Operation, r Result) bool {
	return (r.Outcome == Invalid || r.Outcome == Refused) && (op == Refund || r.Intent == IntentUnknown)
}

func (p Payment) learn(op Operation, r Result, now time.Time) Payment {
	switch op {
	case Create:
		return p.created(r, now)
	case Refund:
		return p.refunded(r, now)
	case Confirm, Retrieve, Cancel:
		return p.told(op, r, now)
	}
	return p
}

func (p Payment) created(r Result, now time.Time) Payment {
	switch r.Outcome {
	case Done:
		p.IntentID = r.IntentID
	case Refused, Invalid:
		return p.refused(r.Code, now)
	}
	// Unknown and NotYet: the same key again. An orphan moves no money.
	return p
}

// told is what confirm, retrieve and cancel have in common: each may tell how
// the intent stands, whatever was asked.
func (p Payment) told(op Operation, r Result, now time.Time) Payment {
	switch {
	case r.Outcome == NotYet:
		return p
	case r.Outcome == Refused && op == Confirm:
		return p.refused(r.Code, now)
	case r.Intent == IntentSucceeded:
		p.Captured, p.Unsure = true, false
		if p.Status == Pending {
			return p.enter(Charged, now)
		}
		return p
	case r.Intent == IntentCanceled:
		return p.refused("canceled", now)
	case r.Intent == IntentFailed && p.Status == Pending:
		return p.refused(r.Code, now)
	case r.Outcome == Done && op == Retrieve && r.Intent != IntentUnknown:
		p.Unsure = false
		return p
	}
	// Unknown, refused because of the intent's state, or still processing: the
	// provider knows better than we do.
	p.Unsure = true
	return p
}

// refused ends a payment that took no money: what was pending is declined, what
// was being voided is voided.
func (p Payment) refused(code string, now time.Time) Payment {
	p.Unsure = false
	if p.Status == Voiding {
		return p.enter(Voided, now)
	}
	p.DeclineCode = code
	return p.enter(Declined, now)
}

func (p Payment) refunded(r Result, now time.Time) Payment {
	if r.Outcome == Done || r.Refunded {
		return p.enter(Refunded, now)
	}
	if r.Outcome == Invalid || r.Outcome == Refused {
		// The provider keeps what it answered under the key, and would only repeat it.
		// No refund gives back more than is left, so another key does no harm.
		p = p.nextKey(now)
	}
	// Whatever else it was, the money is still owed.
	return p
}
