package bank

import (
	"fmt"

	"example.com/ballast/services/provider/internal/book"
)

// kind is book.Kind in one byte.
type kind uint8

const (
	none kind = iota
	created
	captured
	declined
	canceledKind
	refunded
	refused
	failed
)

// apply changes the state by one line and returns the answer it stands for.
func (b *Bank) apply(e *book.Entry) (result, error) {
	b.last = e.TimeMilli
	at := uint32(e.TimeMilli / 1000)
	r := result{fingerprint: e.Fingerprint, at: at, lost: e.Lost}
	var err error
	switch e.Kind {
	case book.Opened:
		b.id = e.Book
		return r, nil
	case book.Created:
		err = b.applyCreated(e, &r)
	case book.Failed:
		r.kind = failed
	case book.Captured, book.Declined, book.Canceled, book.Refunded, book.Refused:
		err = b.applyToIntent(e, &r)
	default:
		err = fmt.Errorf("unknown kind %q", e.Kind)
	}
	if err != nil {
		return r, err
	}
	if e.Key != "" {
		b.keys.put(hashKey(e.Key), r)
	}
	return r, nil
}

func (b *Bank) applyCreated(e *book.Entry, r *result) error {
	currency, ok := currencyIndex(e.Currency)
	method, known := methodIndex(e.Method)
	if !ok || !known || e.Amount < 1 || e.Amount > MaxAmount {
		return fmt.Errorf("no charge of %d %q with method %q is possible", e.Amount, e.Currency, e.Method)
	}
	in := intent{amount: uint32(e.Amount), created: r.at, currency: currency, method: method}
	if method != 0 {
		in.status = requiresConfirmation
	}
	r.kind, r.ref, r.status = created, uint32(b.intents.n), in.status
	if id := b.format("pi", r.ref); id != e.Intent {
		return fmt.Errorf("intent %s where %s must come", e.Intent, id)
	}
	b.setMetadata(r.ref, &in, string(e.Metadata))
	b.intents.push(in)
	return nil
}

func (b *Bank) applyToIntent(e *book.Entry, r *result) error {
	i, ok := b.index("pi", e.Intent, b.intents.n)
	if !ok {
		return fmt.Errorf("%w: %s", ErrNotFound, e.Intent)
	}
	code, ok := codeIndex(e.Code)
	method, known := methodIndex(e.Method)
	if !ok || !known {
		return fmt.Errorf("unknown code %q or method %q", e.Code, e.Method)
	}
	in := b.intents.at(int(i))
	r.ref, r.code = i, code
	switch e.Kind {
	case book.Captured:
		r.kind, in.status, in.used, in.code = captured, succeeded, method, 0
	case book.Declined:
		r.kind, in.status, in.used, in.code = declined, requiresMethod, method, code
	case book.Canceled:
		r.kind, in.status = canceledKind, canceled
	case book.Refused:
		r.kind = refused
	case book.Refunded:
		if in.status != succeeded || e.Amount < 1 || int64(in.refunded)+e.Amount > int64(in.amount) {
			return fmt.Errorf("refund of %d is above what %s has left", e.Amount, e.Intent)
		}
		r.kind, r.ref = refunded, uint32(b.refunds.n)
		in.refunded += uint32(e.Amount)
		b.refunds.push(refund{
			intent: i, amount: uint32(e.Amount), created: r.at, previous: in.lastRefund,
			reason: e.Reason, metadata: string(e.Metadata),
		})
		in.lastRefund = r.ref + 1
	}
	r.status, r.used, r.decline = in.status, in.used, in.code
	return nil
}
