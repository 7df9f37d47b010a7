package payment

import (
	"errors"
	"fmt"
	"time"

	"example.com/ballast/pkg/money"
)

var (
	// ErrAmount is returned for a charge of nothing, or of less.
	ErrAmount = errors.New("the amount to charge must be above zero, in a currency")
	// ErrAmountChanged is returned for a repeated charge with another amount: one
	// order has one charge.
	ErrAmountChanged = errors.New("the order's charge has another amount")
	// ErrNotFound is returned for an order whose payment was never heard of.
	ErrNotFound = errors.New("no payment for this order")
)

// Command is what payments is told about one order.
type Command struct {
	OrderID string
	// Void is VoidPayment; otherwise it is ChargePayment, with the Amount.
	Void   bool
	Amount money.Money
	// Trace is the trace context of the command, carried to its answer.
	Trace string
}

// Rejected is a command that can never succeed, by its place in the batch.
type Rejected struct {
	Index int
	Err   error
}

// Error says which command and why.
func (r *Rejected) Error() string { return fmt.Sprintf("command %d: %v", r.Index, r.Err) }

// Unwrap returns the reason.
func (r *Rejected) Unwrap() error { return r.Err }

// Decide applies a command to the order's payment. One that finds it stuck and has
// nothing else to do clears its setbacks, since whoever asks again may have mended
// the cause: the status and the version stay, and the provider is asked anew.
func Decide(p Payment, c Command, now time.Time) (Payment, Answer, error) {
	var (
		after  Payment
		answer Answer
		err    error
	)
	if c.Void {
		after, answer = Void(p, c.OrderID, now)
	} else {
		after, answer, err = Charge(p, c.OrderID, c.Amount, now)
	}
	switch {
	case err != nil:
	case after.Version != p.Version:
		after.Trace = c.Trace
	case after.Stuck():
		after.Setbacks = 0
	}
	return after, answer, err
}

// Charge decides ChargePayment. The answer's kind is NoAnswer as long as the
// provider's result is awaited. A repeated charge changes nothing and is
// answered as it was before, with the same version. It fails with ErrAmount or
// ErrAmountChanged.
func Charge(p Payment, orderID string, amount money.Money, now time.Time) (Payment, Answer, error) {
	if amount.Minor <= 0 || amount.Currency == "" {
		return p, Answer{}, fmt.Errorf("charge %s: %w", amount, ErrAmount)
	}
	if p.Version == 0 {
		p = Payment{OrderID: orderID, Amount: amount, KeyNumber: 1, KeyBorn: now}
		return p.enter(Pending, now), Answer{}, nil
	}
	// A void that came first knows no amount, and refuses every charge.
	if p.Amount != amount && p.Amount != (money.Money{}) {
		return p, Answer{}, fmt.Errorf("charge %s after %s: %w", amount, p.Amount, ErrAmountChanged)
	}
	return p, p.chargeAnswer(), nil
}

// Void decides VoidPayment. One never heard of is voided at once: the row that
// this leaves refuses the charge that comes late. A repeated void changes
// nothing and is answered as it was before, with the same version.
func Void(p Payment, orderID string, now time.Time) (Payment, Answer) {
	switch {
	case p.Version == 0:
		p = Payment{OrderID: orderID, KeyNumber: 1, KeyBorn: now}.enter(Voided, now)
	case p.Status == Pending || p.Status == Charged:
		// Whoever was confirming may still succeed: the void reads what became of it
		// through its own call, whose result is definite.
		p = p.enter(Voiding, now)
	case p.Status == Declined:
		p = p.enter(Voided, now)
	}
	return p, p.voidAnswer()
}
