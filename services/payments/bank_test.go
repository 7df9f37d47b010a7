package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"

	"example.com/ballast/services/payments/internal/payment"
)

// bank is a provider with a book, in memory: keys repeat their first result,
// intents take money once, declined intents may be confirmed again.
type bank struct {
	mu      sync.Mutex
	random  *rand.Rand
	faults  float64 // share of calls that go wrong, one way or the other
	intents map[string]*bankIntent
	keys    map[string]keyed
	calls   int
	lost    int // answers that never arrived
	// before runs in front of each call, unlocked.
	before func(payment.Call)
}

// keyed is the first result of a key, for the call that it was used with.
type keyed struct {
	call   string
	result payment.Result
}

type bankIntent struct {
	order           string
	state           payment.Intent
	taken, refunded int64
}

func newBank(seed uint64, faults float64) *bank {
	return &bank{
		random: rand.New(rand.NewPCG(seed, seed)), faults: faults, //nolint:gosec // a test's dice
		intents: map[string]*bankIntent{}, keys: map[string]keyed{}, before: func(payment.Call) {},
	}
}

func (b *bank) Do(_ context.Context, c payment.Call) payment.Result {
	b.before(c)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	wrong := b.random.Float64() < b.faults
	fate := b.random.IntN(4)
	if wrong && fate == 0 { // the request is lost
		b.lost++
		return payment.Result{}
	}
	k, replayed := b.keys[c.Key]
	call := c.Operation.String() + c.Payment.IntentID
	switch {
	case !replayed || c.Key == "":
		k = keyed{call: call, result: b.execute(c, wrong && fate == 1, wrong && fate == 2)}
		b.keys[c.Key] = k
		if k.result.KeySpent {
			return payment.Result{} // a first 5xx; repeated, it is known to be for good
		}
	case k.call != call:
		return payment.Result{KeySpent: true} // used for something else
	}
	if wrong && fate == 3 { // the answer is lost
		b.lost++
		return payment.Result{}
	}
	return k.result
}

func (b *bank) execute(c payment.Call, fail, decline bool) payment.Result {
	if fail && c.Key != "" {
		return payment.Result{KeySpent: true}
	}
	if c.Operation == payment.Create {
		id := fmt.Sprintf("pi_%d", len(b.intents))
		b.intents[id] = &bankIntent{order: c.Payment.OrderID, state: payment.IntentReady}
		return payment.Result{Outcome: payment.Done, IntentID: id, Intent: payment.IntentReady}
	}
	i := b.intents[c.Payment.IntentID]
	switch c.Operation {
	case payment.Confirm:
		if i.state == payment.IntentSucceeded || i.state == payment.IntentCanceled {
			return payment.Result{Outcome: payment.Invalid, Intent: i.state}
		}
		if decline {
			i.state = payment.IntentFailed
			return payment.Result{Outcome: payment.Refused, Code: "card_declined"}
		}
		i.state, i.taken = payment.IntentSucceeded, c.Payment.Amount.Minor
	case payment.Cancel:
		if i.state == payment.IntentSucceeded {
			return payment.Result{Outcome: payment.Invalid, Intent: i.state}
		}
		i.state = payment.IntentCanceled
	case payment.Refund:
		if i.refunded == i.taken {
			return payment.Result{Outcome: payment.Invalid, Refunded: true}
		}
		i.refunded = i.taken
	}
	return payment.Result{Outcome: payment.Done, Intent: i.state}
}

// moved returns what was taken and given back for an order, and how often.
func (b *bank) moved(order string) (captures int, taken, refunded int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, i := range b.intents {
		if i.order == order && i.taken > 0 {
			captures++
			taken += i.taken
			refunded += i.refunded
		}
	}
	return captures, taken, refunded
}
