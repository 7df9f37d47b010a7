package payment_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/services/payments/internal/payment"
)

const key = "pi:" + order + ":"

func with(p payment.Payment, change func(*payment.Payment)) payment.Payment {
	change(&p)
	return p
}

func TestNext(t *testing.T) {
	t.Parallel()
	noIntent := func(p *payment.Payment) { p.IntentID = "" }
	unsure := func(p *payment.Payment) { p.Unsure = true }
	captured := func(p *payment.Payment) { p.Captured = true }
	for _, c := range []struct {
		name string
		p    payment.Payment
		now  time.Time
		op   payment.Operation
		key  string
	}{
		{"create", with(in(payment.Pending), noIntent), later, payment.Create, key + "1"},
		{"confirm", in(payment.Pending), later, payment.Confirm, key + "1:confirm"},
		{"read before the confirm of another", with(in(payment.Pending), unsure), later, payment.Retrieve, ""},
		{"find the intent to cancel", with(in(payment.Voiding), noIntent), later, payment.Create, key + "1"},
		{"cancel", in(payment.Voiding), later, payment.Cancel, key + "1:cancel"},
		{"read before cancelling again", with(in(payment.Voiding), unsure), later, payment.Retrieve, ""},
		{"refund", with(in(payment.Voiding), captured), later, payment.Refund, key + "1:refund"},
		{"young enough", in(payment.Pending), born.Add(payment.KeyAge - 1), payment.Confirm, key + "1:confirm"},
		{"too old", in(payment.Pending), born.Add(payment.KeyAge), payment.None, ""},
		{"too old to read by", with(in(payment.Voiding), captured), born.Add(48 * time.Hour), payment.None, ""},
		{"charged", in(payment.Charged), later, payment.None, ""},
		{"declined", in(payment.Declined), later, payment.None, ""},
		{"voided", in(payment.Voided), later, payment.None, ""},
		{"refunded", in(payment.Refunded), later, payment.None, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := payment.Next(c.p, c.now)
			if got.Operation != c.op || got.Key != c.key {
				t.Errorf("next is %s with key %q, want %s with %q", got.Operation, got.Key, c.op, c.key)
			}
		})
	}
}

func TestRenew(t *testing.T) {
	t.Parallel()
	p := in(payment.Pending)
	if got := p.Renew(born.Add(payment.KeyAge - 1)); got != p {
		t.Error("a young key was renewed")
	}
	now := born.Add(payment.KeyAge)
	want := with(p, func(p *payment.Payment) { p.KeyNumber, p.KeyBorn = 2, now })
	if diff := cmp.Diff(want, p.Renew(now)); diff != "" {
		t.Errorf("renewed (-want +got):\n%s", diff)
	}
}

// after is what a row of TestApply expects of the payment beside one more attempt.
type after func(*payment.Payment)

func same(*payment.Payment) {}

func becomes(s payment.Status) after {
	return func(p *payment.Payment) {
		p.Status, p.Updated = s, later
		p.Version++
		if s == payment.Charged || s == payment.Declined {
			p.ChargeVersion = p.Version
		}
		p.Captured = p.Captured || s == payment.Charged
		p.Unsure = false
	}
}

func declines(code string) after {
	return func(p *payment.Payment) {
		becomes(payment.Declined)(p)
		p.DeclineCode = code
	}
}

func TestApply(t *testing.T) {
	t.Parallel()
	unsure := func(p *payment.Payment) { p.Unsure = true }
	sure := func(p *payment.Payment) { p.Unsure = false }
	captured := func(p *payment.Payment) { p.Captured = true }
	nextKey := func(p *payment.Payment) { p.KeyNumber, p.KeyBorn = 2, later }
	setback := func(p *payment.Payment) { p.Setbacks++ }
	both := func(a, b after) after { return func(p *payment.Payment) { a(p); b(p) } }

	fresh := with(in(payment.Pending), func(p *payment.Payment) { p.IntentID = "" })
	pending, reading := in(payment.Pending), with(in(payment.Pending), unsure)
	voidingFresh := with(in(payment.Voiding), func(p *payment.Payment) { p.IntentID = "" })
	voiding, voidReading := in(payment.Voiding), with(in(payment.Voiding), unsure)
	owing := with(in(payment.Voiding), captured)

	created := payment.Result{Outcome: payment.Done, IntentID: "pi_1", Intent: payment.IntentReady}
	told := func(i payment.Intent) payment.Result { return payment.Result{Outcome: payment.Done, Intent: i} }
	refused := payment.Result{Outcome: payment.Refused, Code: "card_declined"}
	invalid := payment.Result{Outcome: payment.Invalid, Code: "bad"}
	conflict := func(i payment.Intent) payment.Result {
		return payment.Result{Outcome: payment.Invalid, Intent: i, Code: "payment_intent_unexpected_state"}
	}
	unknown, notYet := payment.Result{}, payment.Result{Outcome: payment.NotYet}
	spent := payment.Result{KeySpent: true}

	for _, c := range []struct {
		name   string
		before payment.Payment
		op     payment.Operation
		result payment.Result
		want   after
	}{
		{"created", fresh, payment.Create, created, func(p *payment.Payment) { p.IntentID = "pi_1" }},
		{"create unknown: the same key again", fresh, payment.Create, unknown, same},
		{"create not yet", fresh, payment.Create, notYet, same},
		{"create failed for good: the next key", fresh, payment.Create, spent, nextKey},
		{"create refused", fresh, payment.Create, refused, declines("card_declined")},
		{"create invalid", fresh, payment.Create, invalid, declines("bad")},

		{"confirmed", pending, payment.Confirm, told(payment.IntentSucceeded), becomes(payment.Charged)},
		{"confirm declined", pending, payment.Confirm, refused, declines("card_declined")},
		{"confirm unknown: read", pending, payment.Confirm, unknown, unsure},
		{"confirm not yet", pending, payment.Confirm, notYet, same},
		{"confirm failed for good: read, then the next key", pending, payment.Confirm, spent, both(unsure, nextKey)},
		{"confirm still processing: read", pending, payment.Confirm, told(payment.IntentUnknown), unsure},
		{"already confirmed", pending, payment.Confirm, conflict(payment.IntentSucceeded), becomes(payment.Charged)},
		{"confirm after a cancel", pending, payment.Confirm, conflict(payment.IntentCanceled), declines("canceled")},
		{"confirm impossible, state not told: read", pending, payment.Confirm, invalid, both(unsure, setback)},

		{"read: still to be confirmed", reading, payment.Retrieve, told(payment.IntentReady), sure},
		{"read: taken", reading, payment.Retrieve, told(payment.IntentSucceeded), becomes(payment.Charged)},
		{"read: declined", reading, payment.Retrieve, payment.Result{Outcome: payment.Done, Intent: payment.IntentFailed, Code: "expired_card"}, declines("expired_card")},
		{"read: canceled", reading, payment.Retrieve, told(payment.IntentCanceled), declines("canceled")},
		{"read: processing", reading, payment.Retrieve, told(payment.IntentUnknown), same},
		{"read: unknown", reading, payment.Retrieve, unknown, same},
		{"read: not found", reading, payment.Retrieve, invalid, setback},

		{"created to be cancelled", voidingFresh, payment.Create, created, func(p *payment.Payment) { p.IntentID = "pi_1" }},
		{"nothing was created", voidingFresh, payment.Create, refused, becomes(payment.Voided)},
		{"create for a void unknown", voidingFresh, payment.Create, unknown, same},
		{"cancelled", voiding, payment.Cancel, told(payment.IntentCanceled), becomes(payment.Voided)},
		{"cancel too late", voiding, payment.Cancel, conflict(payment.IntentSucceeded), captured},
		{"cancel too late, state not told: read", voiding, payment.Cancel, invalid, both(unsure, setback)},
		{"cancel unknown: read", voiding, payment.Cancel, unknown, unsure},
		{"cancel not yet", voiding, payment.Cancel, notYet, same},
		{"read for a void: taken", voidReading, payment.Retrieve, told(payment.IntentSucceeded), both(captured, sure)},
		{"read for a void: open", voidReading, payment.Retrieve, told(payment.IntentReady), sure},
		{"read for a void: declined but open", voidReading, payment.Retrieve, told(payment.IntentFailed), sure},
		{"read for a void: canceled", voidReading, payment.Retrieve, told(payment.IntentCanceled), becomes(payment.Voided)},

		{"refunded", owing, payment.Refund, payment.Result{Outcome: payment.Done}, becomes(payment.Refunded)},
		{"refunded before", owing, payment.Refund, payment.Result{Outcome: payment.Invalid, Refunded: true}, becomes(payment.Refunded)},
		{"refund unknown: the same key again", owing, payment.Refund, unknown, same},
		{"refund invalid: still owed, the next key", owing, payment.Refund, invalid, both(nextKey, setback)},
		{"refund refused: still owed, the next key", owing, payment.Refund, refused, both(nextKey, setback)},
		{"refund failed for good: the next key", owing, payment.Refund, spent, nextKey},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want := with(c.before, c.want)
			want.Attempts++
			if diff := cmp.Diff(want, payment.Apply(c.before, c.op, c.result, later)); diff != "" {
				t.Errorf("payment (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFirstResultSettles(t *testing.T) {
	t.Parallel()
	for _, s := range []payment.Status{payment.Charged, payment.Declined, payment.Voided, payment.Refunded} {
		for op := payment.Create; op <= payment.Refund; op++ {
			for outcome := payment.Unknown; outcome <= payment.NotYet; outcome++ {
				for intent := payment.IntentUnknown; intent <= payment.IntentCanceled; intent++ {
					p := in(s)
					r := payment.Result{Outcome: outcome, Intent: intent, IntentID: "pi_2", KeySpent: true, Refunded: true}
					if got := payment.Apply(p, op, r, later); got != p {
						t.Errorf("%s %s changed a payment that is %s", op, outcome, s)
					}
				}
			}
		}
	}
}

// A payment that the provider does not help with is stuck after a while, and no
// more: it is never concluded that the money did not move. What changes its status
// gives it another chance.
func TestStuck(t *testing.T) {
	t.Parallel()
	missing := payment.Result{Outcome: payment.Invalid, Code: "resource_missing"}
	p := with(in(payment.Pending), func(p *payment.Payment) { p.Unsure = true })
	for i := range payment.MaxSetbacks {
		if p.Stuck() {
			t.Fatalf("stuck after %d answers", i)
		}
		p = payment.Apply(p, payment.Retrieve, missing, later)
	}
	if !p.Stuck() || p.Status != payment.Pending {
		t.Errorf("after %d answers it is %s, stuck: %t", payment.MaxSetbacks, p.Status, p.Stuck())
	}
	for name, c := range map[string]struct {
		stuck   payment.Payment
		command payment.Command
	}{
		"charge": {p, payment.Command{OrderID: order, Amount: amount}},
		"void":   {with(in(payment.Voiding), func(p *payment.Payment) { p.Setbacks = payment.MaxSetbacks }), payment.Command{OrderID: order, Void: true}},
	} {
		again, reply, err := payment.Decide(c.stuck, c.command, later)
		want := with(c.stuck, func(p *payment.Payment) { p.Setbacks = 0 })
		if diff := cmp.Diff(want, again); diff != "" || reply != (payment.Answer{}) || err != nil {
			t.Errorf("a repeated %s answers %v, %v and leaves (-want +got):\n%s", name, reply, err, diff)
		}
	}
	voided, _ := payment.Void(p, order, later)
	if voided.Stuck() || voided.Status != payment.Voiding {
		t.Errorf("a void finds it %s, stuck: %t", voided.Status, voided.Stuck())
	}
	found := payment.Apply(p, payment.Retrieve, payment.Result{Outcome: payment.Done, Intent: payment.IntentSucceeded}, later)
	if found.Status != payment.Charged || found.Stuck() {
		t.Errorf("the provider knows it again: %s, stuck: %t", found.Status, found.Stuck())
	}
}
