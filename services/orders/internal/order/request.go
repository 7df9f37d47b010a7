package order

import (
	"errors"

	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/money"
)

// ErrNotFound means that there is no such order, or not for this customer.
var ErrNotFound = errors.New("no such order")

// ErrKeyReused means that the idempotency key was used for another request.
var ErrKeyReused = errors.New("idempotency key was used for another request")

// ErrTooManyWatchers means that this process streams to as many as it may.
var ErrTooManyWatchers = errors.New("too many orders are watched")

// PriceChanged means that the customer expected another total.
type PriceChanged struct{ Expected, Actual money.Money }

func (p *PriceChanged) Error() string {
	return "total is " + p.Actual.String() + ", not " + p.Expected.String() + " as expected"
}

// Placement is an order as its customer asked for it.
type Placement struct {
	Customer    string
	Key         string   // the Idempotency-Key, unique for each customer
	RequestHash []byte   // tells another request under the same key
	Wanted      []Wanted // each SKU once
	Country     string   // ISO 3166-1 alpha-2
	Recipient   Recipient
	Expected    *money.Money // nil when the customer expects no total
	Trace       string       // W3C traceparent of the request
}

// Recipient is the personal part of an address; it is no part of any event.
type Recipient struct {
	Name       string   `json:"name,omitempty"`
	Lines      []string `json:"lines,omitempty"`
	City       string   `json:"city,omitempty"`
	PostalCode string   `json:"postalCode,omitempty"`
}

// Empty says whether there is nothing to keep.
func (r Recipient) Empty() bool {
	return r.Name == "" && len(r.Lines) == 0 && r.City == "" && r.PostalCode == ""
}

// View is an order as its customer sees it.
type View struct {
	State
	Recipient Recipient // empty once erased
}

// Filter of a list of orders; what is zero lets all pass.
type Filter struct {
	Customer string
	Status   Status
}

// ErrVersionChanged means that the order is not at the version at which it was to
// be changed.
var ErrVersionChanged = errors.New("order has changed")

// Told is a fact about one order.
type Told struct {
	Order ids.ID
	Fact  Fact
	// OnlyAt, when it is not zero, is the only version at which the fact counts;
	// at any other the verdict is ErrVersionChanged.
	OnlyAt int64
	Trace  string // W3C traceparent of whoever says so
}

// Verdict is what became of one fact.
type Verdict struct {
	State State // after the fact; without lines
	Err   error // ErrNotFound, ErrVersionChanged, or Decide's refusal
}
