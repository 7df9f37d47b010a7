package bank

import (
	"fmt"

	"example.com/ballast/services/provider/internal/book"
)

// Op names a write.
type Op string

// The writes; the names are also those of the fault settings.
const (
	Create  Op = "create"
	Confirm Op = "confirm"
	Cancel  Op = "cancel"
	Refund  Op = "refund"
)

// Fate is what a fault has in store for a call.
type Fate struct {
	Fail    bool // a 5xx before anything is done
	Decline bool // the issuer says no
	Lose    bool // it is done, and answered with a 500
}

// Call is one validated write. Amount is in minor units; for a refund, zero
// means all that is left.
type Call struct {
	Op          Op
	Key         string // "" without one
	Fingerprint uint64
	Intent      string
	Amount      int64
	Currency    string
	Method      string
	Metadata    string // a JSON object of strings, or ""
	Reason      string
	Fate        Fate
}

// decide returns the line that the call leads to. It changes nothing.
func (b *Bank) decide(c Call) (*book.Entry, error) {
	e := &book.Entry{
		TimeMilli: b.milli(), Key: c.Key, Fingerprint: c.Fingerprint,
		Lost: c.Fate.Lose,
	}
	if c.Fate.Fail {
		e.Kind, e.Lost = book.Failed, false
		return e, nil
	}
	if c.Op == Create {
		if b.intents.n >= b.cfg.MaxIntents {
			return nil, ErrFull
		}
		e.Kind, e.Intent = book.Created, b.format("pi", uint32(b.intents.n))
		e.Amount, e.Currency, e.Method = c.Amount, c.Currency, c.Method
		e.Metadata, e.OrderID = []byte(c.Metadata), orderOf(c.Metadata)
		return e, nil
	}
	i, ok := b.index("pi", c.Intent, b.intents.n)
	if !ok {
		return nil, ErrNotFound
	}
	in := b.intents.at(int(i))
	e.Intent, e.OrderID, e.Currency = c.Intent, b.orderID(i, in), currencies[in.currency].code
	switch c.Op {
	case Confirm:
		decideConfirm(e, in, c)
	case Cancel:
		if in.status == succeeded || in.status == canceled {
			refuse(e, CodeUnexpectedState)
			break
		}
		e.Kind = book.Canceled
	case Refund:
		b.decideRefund(e, in, c)
	default:
		return nil, fmt.Errorf("unknown operation %q", c.Op)
	}
	return e, nil
}

func refuse(e *book.Entry, code string) {
	e.Kind, e.Code, e.Lost, e.Currency = book.Refused, code, false, ""
}

func decideConfirm(e *book.Entry, in *intent, c Call) {
	m, _ := methodIndex(c.Method)
	if m == 0 {
		m = in.method
	}
	if m == 0 || in.status == succeeded || in.status == canceled {
		refuse(e, CodeUnexpectedState)
		return
	}
	e.Method, e.Amount = methods[m].id, int64(in.amount)
	decline := methods[m].decline
	if decline == "" && c.Fate.Decline {
		decline = genericDecline
	}
	if decline != "" {
		e.Kind, e.Code, e.Amount = book.Declined, decline, 0
		return
	}
	e.Kind = book.Captured
}

func (b *Bank) decideRefund(e *book.Entry, in *intent, c Call) {
	left := int64(in.amount - in.refunded)
	switch {
	case in.status != succeeded:
		refuse(e, CodeUnexpectedState)
	case left == 0:
		refuse(e, CodeAlreadyRefunded)
	case c.Amount > left:
		refuse(e, CodeRefundTooLarge)
	default:
		e.Kind, e.Refund = book.Refunded, b.format("re", uint32(b.refunds.n))
		e.Amount, e.Reason, e.Metadata = left, c.Reason, []byte(c.Metadata)
		if c.Amount > 0 {
			e.Amount = c.Amount
		}
	}
}
