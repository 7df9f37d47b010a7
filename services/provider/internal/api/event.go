package api

import (
	"encoding/json"

	"example.com/ballast/services/provider/internal/bank"
	"example.com/ballast/services/provider/internal/book"
)

// chargeJSON is Stripe's charge, as far as events of refunds need it.
type chargeJSON struct {
	ID             string          `json:"id"`
	Object         string          `json:"object"`
	Amount         int64           `json:"amount"`
	AmountRefunded int64           `json:"amount_refunded"`
	Currency       string          `json:"currency"`
	Metadata       json.RawMessage `json:"metadata"`
	PaymentIntent  string          `json:"payment_intent"`
	Refunded       bool            `json:"refunded"`
}

// Event returns the type and the object of the event that a line of the book
// leads to; false means that it leads to none.
func Event(b *bank.Bank, e *book.Entry) (kind string, object any, ok bool) {
	switch e.Kind {
	case book.Captured:
		kind = "payment_intent.succeeded"
	case book.Declined:
		kind = "payment_intent.payment_failed"
	case book.Canceled:
		kind = "payment_intent.canceled"
	case book.Refunded:
		kind = "charge.refunded"
	default:
		return "", nil, false
	}
	v, ok := b.At(e)
	if !ok {
		return "", nil, false
	}
	if e.Kind != book.Refunded {
		return kind, renderIntent(v), true
	}
	return kind, chargeJSON{
		ID: v.Charge, Object: "charge", Amount: v.Amount, AmountRefunded: v.Refunded, Currency: v.Currency,
		Metadata: metadata(v.Metadata), PaymentIntent: v.ID, Refunded: v.Refunded == v.Amount,
	}, true
}
