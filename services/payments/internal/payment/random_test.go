package payment_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.com/ballast/services/payments/internal/payment"
)

// provider is a model of the real one: intents take money once, keys repeat
// their first result for a day, and a declined intent may be confirmed again.
type provider struct {
	intents map[string]payment.Intent
	keys    map[string]storedResult
	taken   int
	given   int
}

type storedResult struct {
	result payment.Result
	born   time.Time
}

// fault is what goes wrong with one call.
type fault int

const (
	noFault fault = iota
	requestLost
	responseLost
	failsForGood // a failure of the provider's own, kept for the key
	decline
	faults
)

func (b *provider) do(c payment.Call, f fault, now time.Time) payment.Result {
	if f == requestLost {
		return payment.Result{}
	}
	r, replayed := b.keys[c.Key]
	if c.Key == "" || !replayed || now.Sub(r.born) >= 24*time.Hour {
		r = storedResult{result: b.execute(c, f), born: now}
		if c.Key != "" {
			b.keys[c.Key] = r
		}
		replayed = false
	}
	switch {
	case f == responseLost:
		return payment.Result{}
	case f == failsForGood && !replayed && c.Key != "":
		return payment.Result{} // a first 5xx: unknown
	}
	return r.result
}

func (b *provider) execute(c payment.Call, f fault) payment.Result {
	if f == failsForGood {
		return payment.Result{KeySpent: true}
	}
	id := c.Payment.IntentID
	switch c.Operation {
	case payment.Create:
		id = fmt.Sprintf("pi_%d", len(b.intents))
		b.intents[id] = payment.IntentReady
		return payment.Result{Outcome: payment.Done, IntentID: id, Intent: payment.IntentReady}
	case payment.Confirm:
		switch state := b.intents[id]; {
		case state == payment.IntentSucceeded || state == payment.IntentCanceled:
			return payment.Result{Outcome: payment.Invalid, Intent: state}
		case f == decline:
			b.intents[id] = payment.IntentFailed
			return payment.Result{Outcome: payment.Refused, Code: "card_declined"}
		}
		b.intents[id] = payment.IntentSucceeded
		b.taken++
	case payment.Cancel:
		if b.intents[id] == payment.IntentSucceeded {
			return payment.Result{Outcome: payment.Invalid, Intent: payment.IntentSucceeded}
		}
		b.intents[id] = payment.IntentCanceled
	case payment.Refund:
		if b.given == b.taken {
			return payment.Result{Outcome: payment.Invalid, Refunded: true}
		}
		b.given++
		return payment.Result{Outcome: payment.Done}
	}
	return payment.Result{Outcome: payment.Done, Intent: b.intents[id]}
}

// executor carries a copy of the payment on, as a process does: it may die or
// stand still between any two steps.
type executor struct {
	p    payment.Payment
	call payment.Call
	sent bool
}

// machine is one order with its row, its ledger, the provider and executors.
type machine struct {
	row       payment.Payment
	ledger    map[string]int
	answers   map[int64]payment.AnswerKind // of settlements, by version
	provider  provider
	executors []*executor
	now       time.Time
	voided    bool
	stored    string // the intent's id, once stored
}

// save is what the store does: guarded by version, the id written once.
func (m *machine) save(from int64, p payment.Payment) bool {
	if m.row.Version != from || (m.row.IntentID != "" && m.row.IntentID != p.IntentID) {
		return false
	}
	m.row = p
	m.row.Unsure = false
	if p.Version != from {
		for _, e := range p.Entries() {
			m.ledger[e.Kind+e.Account]++
		}
		m.answers[p.Version] = p.Answer().Kind
	}
	return true
}

func (m *machine) command(t *rapid.T, void bool) {
	if void {
		m.row, _ = payment.Void(m.row, order, m.now)
		m.voided = true
		return
	}
	first := m.row.Version == 0
	row, _, err := payment.Charge(m.row, order, amount, m.now)
	if err != nil {
		t.Fatal(err)
	}
	if m.row = row; first {
		m.executors = append(m.executors, &executor{p: row})
	}
}

func (m *machine) claim() {
	if m.row.Status.Open() {
		m.row = m.row.Renew(m.now)
		p := m.row
		p.Unsure = true
		m.executors = append(m.executors, &executor{p: p})
	}
}

// step sends an executor's next call, or brings it the result of the last one.
func (m *machine) step(e *executor, f fault) (alive bool) {
	if !e.sent {
		e.call = payment.Next(e.p, m.now)
		e.sent = true
		return e.call.Operation != payment.None
	}
	e.sent = false
	next := payment.Apply(e.p, e.call.Operation, m.provider.do(e.call, f, m.now), m.now)
	if next.Version != e.p.Version {
		m.save(e.p.Version, next)
		return false
	}
	if next.IntentID != e.p.IntentID && !m.save(e.p.Version, next) {
		return false
	}
	e.p = next
	return true
}

func (m *machine) drop(i int) { m.executors = append(m.executors[:i], m.executors[i+1:]...) }

func (m *machine) check(t *rapid.T) {
	if m.provider.taken > 1 || m.provider.given > m.provider.taken {
		t.Fatalf("the provider took %d times and gave back %d times", m.provider.taken, m.provider.given)
	}
	for entry, n := range m.ledger {
		if n > 1 {
			t.Fatalf("%s was posted %d times", entry, n)
		}
	}
	if m.stored != "" && m.row.IntentID != m.stored {
		t.Fatalf("the intent's id changed from %s to %s", m.stored, m.row.IntentID)
	}
	m.stored = m.row.IntentID
}

// finish lets the last claim run without faults, as it does when all is well again.
func (m *machine) finish(t *rapid.T) {
	for range 3 {
		m.claim()
	}
	for range 100 {
		for i := len(m.executors) - 1; i >= 0; i-- {
			if !m.step(m.executors[i], noFault) {
				m.drop(i)
			}
			m.check(t)
		}
		m.claim()
	}
	net, booked := m.provider.taken-m.provider.given, m.ledger["charge"+payment.ProviderReceivable]-m.ledger["refund"+payment.ProviderReceivable]
	switch {
	case m.row.Version == 0:
		return
	case m.row.Status.Open():
		t.Fatalf("still %s after the faults have healed", m.row.Status)
	case m.voided && m.row.Status != payment.Voided && m.row.Status != payment.Refunded:
		t.Fatalf("voided, but %s", m.row.Status)
	case m.voided && net != 0:
		t.Fatal("voided, but the provider keeps money")
	case (m.row.Status == payment.Charged) != (net == 1):
		t.Fatalf("%s, but the provider holds %d", m.row.Status, net)
	case booked != net || m.ledger["charge"+payment.ProviderReceivable] != m.provider.taken:
		t.Fatalf("the ledger says %v, the provider took %d and gave %d", m.ledger, m.provider.taken, m.provider.given)
	}
}

// TestAnyInterleaving explores commands, results that get lost, executors that
// die, stand still or work at the same time, and keys that grow old.
func TestAnyInterleaving(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{
			ledger: map[string]int{}, answers: map[int64]payment.AnswerKind{}, now: born,
			provider: provider{intents: map[string]payment.Intent{}, keys: map[string]storedResult{}},
		}
		executor := func(t *rapid.T) int {
			if len(m.executors) == 0 {
				t.Skip("nobody is at work")
			}
			return rapid.IntRange(0, len(m.executors)-1).Draw(t, "executor")
		}
		step := func(t *rapid.T) {
			i := executor(t)
			if !m.step(m.executors[i], fault(rapid.IntRange(0, int(faults)-1).Draw(t, "fault"))) {
				m.drop(i)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"charge": func(t *rapid.T) { m.command(t, false) },
			"void":   func(t *rapid.T) { m.command(t, rapid.IntRange(0, 3).Draw(t, "void") == 0) },
			"claim":  func(*rapid.T) { m.claim() },
			"step":   step, "step2": step, "step3": step, "step4": step,
			"crash": func(t *rapid.T) { m.drop(executor(t)) },
			"wait": func(t *rapid.T) {
				// Nobody's call is on its way for hours: it has a timeout.
				m.executors = nil
				m.now = m.now.Add(time.Duration(rapid.IntRange(1, 25).Draw(t, "hours")) * time.Hour)
			},
			"": m.check,
		})
		m.finish(t)
	})
}
