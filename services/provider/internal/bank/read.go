package bank

import (
	"sort"

	"example.com/ballast/services/provider/internal/book"
)

// Intent statuses as Stripe writes them.
var statusNames = [...]string{"requires_payment_method", "requires_confirmation", "succeeded", "canceled"}

// Succeeded is the status of an intent whose money was taken.
const Succeeded = "succeeded"

// Intent is a payment intent as it is shown. Amounts are in minor units.
type Intent struct {
	ID, Charge       string // Charge is "" before a capture
	Status           string
	Amount, Received int64
	Refunded         int64
	Currency         string
	Method           string
	DeclineCode      string // of the newest confirmation, if it was declined
	Metadata         string // a JSON object, or ""
	Created          int64  // unix seconds
}

// RefundView is a refund as it is shown.
type RefundView struct {
	ID, Intent, Charge string
	Amount             int64
	Currency           string
	Reason, Metadata   string
	Created            int64
}

// Answer is what a write is answered with, now or replayed. Exactly one of
// its outcomes holds: Failed or Lost (a 500), Code with an intent (a client
// error, or a decline when Declined), Refund, or Intent.
type Answer struct {
	Failed, Lost, Declined bool
	Code                   string
	Intent                 *Intent
	Refund                 *RefundView
	Line                   int64 `json:"-"` // of the book; zero when it is replayed
}

// answer rebuilds an answer from its stored result, with the intent as it was
// then: its other fields never change, except refunds, which are not shown.
func (b *Bank) answer(r result) Answer {
	a := Answer{Failed: r.kind == failed, Lost: r.lost, Declined: r.kind == declined, Code: codes[r.code]}
	switch r.kind {
	case failed, none:
		return a
	case refunded:
		v := b.viewRefund(r.ref)
		a.Refund = &v
		return a
	}
	in := *b.intents.at(int(r.ref))
	in.status, in.used, in.code = r.status, r.used, r.decline
	v := b.view(r.ref, &in)
	a.Intent = &v
	return a
}

func (b *Bank) view(i uint32, in *intent) Intent {
	v := Intent{
		ID: b.format("pi", i), Status: statusNames[in.status], Amount: int64(in.amount),
		Refunded: int64(in.refunded), Currency: currencies[in.currency].code, Method: methods[in.method].id,
		DeclineCode: codes[in.code], Metadata: b.metadataOf(i, in), Created: int64(in.created),
	}
	if in.used != 0 {
		v.Method = methods[in.used].id
	}
	if in.status == succeeded {
		v.Received, v.Charge = v.Amount, b.format("ch", i)
	}
	return v
}

func (b *Bank) viewRefund(i uint32) RefundView {
	r := b.refunds.at(int(i))
	return RefundView{
		ID: b.format("re", i), Intent: b.format("pi", r.intent), Charge: b.format("ch", r.intent),
		Amount: int64(r.amount), Currency: currencies[b.intents.at(int(r.intent)).currency].code,
		Reason: r.reason, Metadata: r.metadata, Created: int64(r.created),
	}
}

// At returns the intent of a durable line as the line left it.
func (b *Bank) At(e *book.Entry) (Intent, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i, ok := b.index("pi", e.Intent, b.intents.n)
	if !ok {
		return Intent{}, false
	}
	in := *b.intents.at(int(i))
	switch e.Kind {
	case book.Captured, book.Refunded:
		in.status = succeeded
	case book.Declined:
		in.status = requiresMethod
		in.code, _ = codeIndex(e.Code)
	case book.Canceled:
		in.status = canceled
	}
	return b.view(i, &in), true
}

// Get returns an intent once everything that led to it is durable.
func (b *Bank) Get(id string) (Intent, bool, error) {
	b.mu.Lock()
	i, ok := b.index("pi", id, b.intents.n)
	var v Intent
	if ok {
		v = b.view(i, b.intents.at(int(i)))
	}
	pending := b.book.Pending()
	b.mu.Unlock()
	return v, ok, pending.Wait()
}

// Page asks for a list, newest first. Created bounds are unix seconds,
// inclusive; After is the id that ended the page before.
type Page struct {
	Limit                    int
	After                    string
	CreatedFrom, CreatedUpTo int64
	Intent                   string // refunds of this intent only
}

// List returns a page of intents and whether there are more; false in known
// means that Page.After does not exist.
func (b *Bank) List(p Page) (list []Intent, more, known bool, err error) {
	b.mu.Lock()
	next := sort.Search(b.intents.n, func(i int) bool { return int64(b.intents.at(i).created) > p.CreatedUpTo })
	known = true
	if p.After != "" {
		var i uint32
		i, known = b.index("pi", p.After, b.intents.n)
		next = min(next, int(i))
	}
	for i := next - 1; known && i >= 0; i-- {
		in := b.intents.at(i)
		if int64(in.created) < p.CreatedFrom {
			break
		}
		if more = len(list) == p.Limit; more {
			break
		}
		list = append(list, b.view(uint32(i), in))
	}
	pending := b.book.Pending()
	b.mu.Unlock()
	return list, more, known, pending.Wait()
}

// ListRefunds is List for refunds.
func (b *Bank) ListRefunds(p Page) (list []RefundView, more, known bool, err error) {
	b.mu.Lock()
	// next is 1 + the index of the next refund to show, 0 at the end.
	next, known := uint32(b.refunds.n), true
	if p.Intent != "" {
		var i uint32
		if i, known = b.index("pi", p.Intent, b.intents.n); known {
			next = b.intents.at(int(i)).lastRefund
		}
	}
	after := uint32(b.refunds.n)
	if p.After != "" {
		var found bool
		after, found = b.index("re", p.After, b.refunds.n)
		known = known && found
	}
	for known && next > 0 {
		i := next - 1
		next = i
		if p.Intent != "" {
			next = b.refunds.at(int(i)).previous
		}
		created := int64(b.refunds.at(int(i)).created)
		if i >= after || created > p.CreatedUpTo {
			continue
		}
		if created < p.CreatedFrom {
			break
		}
		if more = len(list) == p.Limit; more {
			break
		}
		list = append(list, b.viewRefund(i))
	}
	pending := b.book.Pending()
	b.mu.Unlock()
	return list, more, known, pending.Wait()
}
