// Package payment holds the rules of an order's one payment: what each command
// and each result of the provider does to it, which call to the provider comes
// next, and what the ledger posts. It is pure: time and ids come in as
// arguments, and nothing here talks to a database, a queue or the provider.
//
// Three rules keep the money right, whatever is lost, repeated or late:
//
//   - An intent is created unconfirmed and its id is stored, once, before it is
//     confirmed. So at most one intent of an order is ever confirmed, however
//     many were created, and an intent takes money once.
//   - Every change of status raises the version, and a result is stored only
//     over the version that it was asked for. So two executors are harmless: the
//     first definite result settles.
//   - A void is final before it is carried out. A charge that finds it is refused,
//     a charge that was under way is cancelled, and one that came through is
//     refunded in full.
package payment

import (
	"strconv"
	"time"

	"example.com/ballast/pkg/money"
)

// Status is where a payment stands; its text is what the database stores.
type Status string

// The statuses of a payment.
const (
	Pending  Status = "PENDING"
	Charged  Status = "CHARGED"
	Declined Status = "DECLINED"
	Voiding  Status = "VOIDING"
	Voided   Status = "VOIDED"
	Refunded Status = "REFUNDED"
)

// Open reports whether the provider still has to be asked.
func (s Status) Open() bool { return s == Pending || s == Voiding }

// Payment is the one payment of an order. The zero value is one never heard of.
//
//	         ChargePayment            provider: taken
//	(none) ----------------> PENDING -----------------> CHARGED
//	  |                       |   |                        |
//	  |                       |   | provider: refused      | VoidPayment
//	  |                       |   +-------> DECLINED       |
//	  |           VoidPayment |                |           |
//	  |                       v                |           |
//	  |                    VOIDING <-----------|-----------+
//	  |                     |   |              |
//	  |   provider: nothing |   | provider:    | VoidPayment
//	  |   was taken         |   | given back   |
//	  |                     v   +------> REFUNDED
//	  +----------------> VOIDED <--------------+
//	      VoidPayment
//
// The version is 1 on entry and rises by one with every arrow.
type Payment struct {
	OrderID string
	Status  Status
	// Amount to charge; the zero Money when a void came first.
	Amount  money.Money
	Version int64
	// ChargeVersion is the version at which the charge was answered (CHARGED or
	// DECLINED); zero when it was not, or was voided before.
	ChargeVersion int64
	// Captured says that the provider took the money, given back since or not.
	Captured bool
	// IntentID is the provider's id. It is written once.
	IntentID string
	// KeyNumber is the n of the idempotency keys in use, from 1, and KeyBorn the
	// moment from which a key with that number may have been sent.
	KeyNumber int
	KeyBorn   time.Time
	// DeclineCode is the provider's reason for a declined charge.
	DeclineCode string
	// Attempts counts the calls to the provider.
	Attempts int
	// Setbacks counts the definite answers since then that led nowhere: the provider
	// does not know the intent, or refuses to give the money back.
	Setbacks int
	// Updated is when the status last changed.
	Updated time.Time
	// Trace is the trace context of the command that opened it, for the answer.
	Trace string
	// Unsure says that an earlier call on the intent may have had an effect, so
	// that the provider must be read before anything else is asked. It is not
	// stored: whoever takes over an intent from another starts unsure.
	Unsure bool
}

// MaxSetbacks is from when on a payment is stuck. With the pauses between two
// looks it is reached after one to two minutes: a provider that has not yet
// heard of its own intent is given that long.
const MaxSetbacks = 20

// Stuck says that asking leads nowhere: a person must find out why. That the
// money did not move is never concluded, so the payment stays open, is looked at
// now and then, and goes on by itself once the provider gives another answer.
func (p Payment) Stuck() bool { return p.Status.Open() && p.Setbacks >= MaxSetbacks }

// KeyAge is how long an idempotency key is used. The provider keeps keys for
// 24 hours; the hour between is for clocks that differ and calls on their way.
const KeyAge = 23 * time.Hour

// Renew returns the payment with a key young enough to be sent at now. A key
// that is too old gives way to the next number, which must be stored before
// it is used: then its age is known to whoever comes after.
func (p Payment) Renew(now time.Time) Payment {
	if p.keyExpired(now) {
		p = p.nextKey(now)
	}
	return p
}

func (p Payment) keyExpired(now time.Time) bool { return now.Sub(p.KeyBorn) >= KeyAge }

func (p Payment) nextKey(now time.Time) Payment {
	p.KeyNumber++
	p.KeyBorn = now
	return p
}

// key is deterministic, so that everyone who carries on with this payment sends
// the same one, and the provider does the work once.
func (p Payment) key(suffix string) string {
	return "pi:" + p.OrderID + ":" + strconv.Itoa(p.KeyNumber) + suffix
}

// enter is the only place where the status changes.
func (p Payment) enter(s Status, now time.Time) Payment {
	p.Status = s
	p.Version++
	p.Updated = now
	p.Setbacks = 0
	if s == Charged || s == Declined {
		p.ChargeVersion = p.Version
	}
	return p
}

// KeepLease in a Change leaves the lease as it is.
const KeepLease time.Duration = -1

// Change is a payment after a result, to be stored only over the version that
// the result was asked for.
type Change struct {
	From    int64 // the version before
	Payment Payment
	// Lease is how long from now nobody else may claim the payment, or KeepLease.
	Lease time.Duration
}
