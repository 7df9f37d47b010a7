package payment

import (
	"errors"
	"time"
)

// ErrBookAway means that the provider's book can't be read at this moment.
var ErrBookAway = errors.New("the provider's book can't be read at this moment")

// Account is what we know about an order: its payment (zero when there is none)
// and what the ledger says that the provider took and gave back, in minor units.
type Account struct {
	Payment           Payment
	Charged, Refunded int64
}

// Posting is one posting of the ledger as the provider should know it.
type Posting struct {
	EntryID  int64
	Time     time.Time
	OrderID  string
	IntentID string
	Kind     string
	Amount   int64 // minor units, above zero
}

// Suspect names a payment in which the books may differ. Either name may be
// empty: not every intent tells its order.
type Suspect struct{ OrderID, IntentID string }

// Sums are of the whole ledger.
type Sums struct {
	Entries int64
	// Balance is debits less credits by currency, in minor units: each should be 0.
	Balance map[string]int64
}

// Difference is one thing on which the ledger and the provider disagree.
type Difference struct {
	OrderID  string
	IntentID string
	Kind     DifferenceKind
	Problem  string
}

// DifferenceKind says what the books disagree on.
type DifferenceKind string

// The kinds of differences.
const (
	DiffersIntent   DifferenceKind = "intent"   // one side does not know the payment intent
	DiffersCharge   DifferenceKind = "charge"   // the amount taken
	DiffersRefund   DifferenceKind = "refund"   // the amount given back
	DiffersCurrency DifferenceKind = "currency" // of the payment
	DiffersStatus   DifferenceKind = "status"   // the payment contradicts its own ledger
	DiffersLedger   DifferenceKind = "ledger"   // the ledger does not add up to zero
)

// DifferenceKinds are those that a single payment can have.
func DifferenceKinds() []DifferenceKind {
	return []DifferenceKind{DiffersIntent, DiffersCharge, DiffersRefund, DiffersCurrency, DiffersStatus}
}

// Mark is how far a comparison has come: everything before the moment, and the
// ledger's entries up to the number. The zero Mark is the beginning.
type Mark struct {
	Time  time.Time
	Entry int64
}

// Reconciliation is the result of comparing the books.
type Reconciliation struct {
	// Next is where to go on, zero when the end was reached.
	Next        Mark
	Compared    int64 // of the provider's intents
	Differences []Difference
	// Debits and Credits of the whole ledger in minor units, both above zero, when
	// its end was reached.
	Debits, Credits int64
}
