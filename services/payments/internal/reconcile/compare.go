// Package reconcile compares the ledger with the provider's book, both ways:
// every intent and refund of the provider must be in the ledger with the same
// amount, and every posting must be in the provider's book.
//
// It walks both in slices of time and only takes what looks different for a
// suspect. A suspect is then read again, alone and on both sides, because most
// are merely on their way: only what still differs, is not open and is older
// than the grace is reported. So no transaction and no lock spans two systems,
// and memory is bounded by a slice.
package reconcile

import (
	"fmt"
	"time"

	"example.com/ballast/services/payments/internal/payment"
)

// Intent is a payment intent in the provider's book.
type Intent struct {
	ID       string
	OrderID  string // empty when the provider was not told
	Created  time.Time
	Currency string
	Received int64 // minor units taken
	Refunded int64 // minor units given back
}

// Refund is money given back in the provider's book.
type Refund struct {
	IntentID string
	Amount   int64 // minor units
}

// problem is a difference without the payment's names.
type problem struct {
	kind payment.DifferenceKind
	text string
}

// compare returns what differs between an account and its intent in the
// provider's book; the zero Intent stands for one that the provider does not have.
func compare(a payment.Account, i Intent) []problem {
	var problems []problem
	say := func(kind payment.DifferenceKind, format string, args ...any) {
		problems = append(problems, problem{kind, fmt.Sprintf(format, args...)})
	}
	switch ours := a.Payment.IntentID == i.ID; {
	case i.ID == "" && (a.Charged > 0 || a.Payment.Captured):
		say(payment.DiffersIntent, "the provider does not have this payment intent")
	case i.ID != "" && !ours && i.Received != i.Refunded:
		// An orphan may exist, but it must not keep money.
		say(payment.DiffersIntent, "the provider keeps %d of an intent that is not the payment's", i.Received-i.Refunded)
	case i.ID != "" && ours:
		if i.Received != a.Charged {
			say(payment.DiffersCharge, "the provider took %d, the ledger says %d", i.Received, a.Charged)
		}
		if i.Refunded != a.Refunded {
			say(payment.DiffersRefund, "the provider gave back %d, the ledger says %d", i.Refunded, a.Refunded)
		}
		if i.Currency != a.Payment.Amount.Currency {
			say(payment.DiffersCurrency, "the provider has %s, the payment %s", i.Currency, a.Payment.Amount.Currency)
		}
	}
	if !consistent(a) {
		say(payment.DiffersStatus, "the payment is %s, the ledger says charged %d and refunded %d", a.Payment.Status, a.Charged, a.Refunded)
	}
	return problems
}

// consistent compares the payment with its own ledger.
func consistent(a payment.Account) bool {
	amount := a.Payment.Amount.Minor
	switch a.Payment.Status {
	case payment.Charged:
		return a.Charged == amount && a.Refunded == 0
	case payment.Refunded:
		return a.Charged == amount && a.Refunded == amount
	default:
		return a.Charged == 0 && a.Refunded == 0
	}
}

// suspect is the cheap test of a slice: it may be wrong about what is under way.
func suspect(a payment.Account, i Intent) bool {
	if i.Received == 0 {
		return a.Payment.IntentID == i.ID && a.Charged > 0
	}
	return a.Payment.IntentID != i.ID || a.Charged != i.Received
}
