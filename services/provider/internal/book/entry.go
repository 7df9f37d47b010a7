package book

import "encoding/json"

// Kind says what a line of the book records.
type Kind string

// The kinds of lines. Captured and Refunded move money; the others are there
// because the whole state, with every stored answer, is rebuilt from the book.
const (
	Opened   Kind = "opened"   // the first line: the book's own id
	Created  Kind = "created"  // a payment intent, unconfirmed
	Captured Kind = "captured" // money taken
	Declined Kind = "declined" // the issuer said no; nothing taken
	Canceled Kind = "canceled" // the intent can never be captured
	Refunded Kind = "refunded" // money given back
	Refused  Kind = "refused"  // a definite client error, stored under its key
	Failed   Kind = "failed"   // a 5xx that did nothing, stored under its key
)

// Entry is one line. Amounts are in the currency's minor unit.
type Entry struct {
	Seq       int64  `json:"seq"` // from 1, without gaps
	TimeMilli int64  `json:"time_ms"`
	Kind      Kind   `json:"kind"`
	Book      string `json:"book,omitempty"`
	Intent    string `json:"intent,omitempty"`
	Refund    string `json:"refund,omitempty"`
	OrderID   string `json:"order_id,omitempty"` // from the intent's metadata
	Amount    int64  `json:"amount,omitempty"`
	Currency  string `json:"currency,omitempty"`
	Method    string `json:"payment_method,omitempty"`
	Code      string `json:"code,omitempty"` // decline or error code
	Reason    string `json:"reason,omitempty"`
	// Metadata is a JSON object of strings.
	Metadata json.RawMessage `json:"metadata,omitempty"`
	// Lost marks a movement that was made and then answered with a 500.
	Lost        bool   `json:"answered_500,omitempty"`
	Key         string `json:"key,omitempty"`
	Fingerprint uint64 `json:"fingerprint,string,omitempty"`
}
