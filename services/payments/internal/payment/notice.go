package payment

import "time"

// Notice is what the provider's event tells: that something has happened to an
// order's intent. It is a hint and no more. It may come twice, late, before the
// answer to the call that caused it, or behind a newer one, so nothing that it
// says about money is believed: the payment is read by id at the provider.
type Notice struct {
	ID       string    // the event's, the same at every delivery
	Sent     time.Time // when the event was made, likewise
	OrderID  string
	IntentID string
}

// Noticed is what a notice led to.
type Noticed uint8

// What a notice leads to.
const (
	// NoticedDuplicate: it was taken before.
	NoticedDuplicate Noticed = iota
	// NoticedUnknown: the order has no payment, or one with another intent.
	NoticedUnknown
	// NoticedSettled: the payment needs nothing more from the provider.
	NoticedSettled
	// NoticedDue: the payment is open, and will be looked at soon.
	NoticedDue
)

// String names it in metrics.
func (n Noticed) String() string {
	return [...]string{"duplicate", "unknown", "settled", "due"}[n]
}
