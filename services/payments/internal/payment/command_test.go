package payment_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/pkg/money"
	"example.com/ballast/services/payments/internal/payment"
)

const order = "01936d5e-8f00-7000-8000-000000000001"

var (
	born   = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	later  = born.Add(time.Minute)
	amount = money.Money{Currency: "GBP", Minor: 1250}
)

// in returns a payment in the status, as the shortest way there leaves it.
func in(s payment.Status) payment.Payment {
	pending := payment.Payment{
		OrderID: order, Status: payment.Pending, Amount: amount, Version: 1,
		KeyNumber: 1, KeyBorn: born, Updated: born, IntentID: "pi_1",
	}
	p := pending
	p.Status, p.Version = s, 2
	switch s {
	case "":
		return payment.Payment{}
	case payment.Pending:
		return pending
	case payment.Charged:
		p.Captured, p.ChargeVersion = true, 2
	case payment.Declined:
		p.DeclineCode, p.ChargeVersion = "insufficient_funds", 2
	case payment.Voided:
		p.Version = 3
	case payment.Refunded:
		p.Captured, p.ChargeVersion, p.Version = true, 2, 4
	}
	return p
}

func answer(kind payment.AnswerKind, version int64) payment.Answer {
	return payment.Answer{Kind: kind, OrderID: order, Version: version}
}

func charged(version int64) payment.Answer {
	a := answer(payment.AnswerCharged, version)
	a.Amount, a.IntentID = amount, "pi_1"
	return a
}

func declined(version int64) payment.Answer {
	a := answer(payment.AnswerDeclined, version)
	a.DeclineCode = "insufficient_funds"
	return a
}

func refunded(version int64) payment.Answer {
	a := answer(payment.AnswerRefunded, version)
	a.Amount = amount
	return a
}

func TestCommands(t *testing.T) {
	t.Parallel()
	voidedUnheard, _ := payment.Void(payment.Payment{}, order, born)
	lateCharge := in(payment.Refunded) // charged while it was being voided
	lateCharge.ChargeVersion, lateCharge.Version = 0, 3
	voidedDecline := in(payment.Declined)
	voidedDecline.Status, voidedDecline.Version = payment.Voided, 3

	for _, c := range []struct {
		name       string
		before     payment.Payment
		charge     payment.Answer
		afterVoid  payment.Status
		voidAnswer payment.Answer
	}{
		{"new", in(""), payment.Answer{}, payment.Voided, answer(payment.AnswerVoided, 1)},
		{"pending", in(payment.Pending), payment.Answer{}, payment.Voiding, payment.Answer{}},
		{"charged", in(payment.Charged), charged(2), payment.Voiding, payment.Answer{}},
		{"declined", in(payment.Declined), declined(2), payment.Voided, answer(payment.AnswerVoided, 3)},
		{"voiding", in(payment.Voiding), payment.Answer{}, payment.Voiding, payment.Answer{}},
		{"voided", in(payment.Voided), answer(payment.AnswerCancelled, 3), payment.Voided, answer(payment.AnswerVoided, 3)},
		{"refunded", in(payment.Refunded), charged(2), payment.Refunded, refunded(4)},
		{"voided unheard", voidedUnheard, answer(payment.AnswerCancelled, 1), payment.Voided, answer(payment.AnswerVoided, 1)},
		{"refunded, never answered", lateCharge, answer(payment.AnswerCancelled, 3), payment.Refunded, refunded(3)},
		{"voided after a decline", voidedDecline, declined(2), payment.Voided, answer(payment.AnswerVoided, 3)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			after, got, err := payment.Charge(c.before, order, amount, later)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.charge, got); diff != "" {
				t.Errorf("answer to the charge (-want +got):\n%s", diff)
			}
			if c.before.Version > 0 && after != c.before {
				t.Errorf("a repeated charge changed the payment: %s", cmp.Diff(c.before, after))
			}

			after, got = payment.Void(c.before, order, later)
			if diff := cmp.Diff(c.voidAnswer, got); diff != "" {
				t.Errorf("answer to the void (-want +got):\n%s", diff)
			}
			if after.Status != c.afterVoid {
				t.Errorf("status after the void is %s, want %s", after.Status, c.afterVoid)
			}
			again, repeated := payment.Void(after, order, later.Add(time.Hour))
			if again != after || repeated != got {
				t.Error("a repeated void is not answered the same")
			}
			if after.Status != c.before.Status && after.Version != c.before.Version+1 {
				t.Errorf("version after the void is %d, want %d", after.Version, c.before.Version+1)
			}
		})
	}
}

func TestFirstChargeIsPending(t *testing.T) {
	t.Parallel()
	got, _, err := payment.Charge(payment.Payment{}, order, amount, born)
	if err != nil {
		t.Fatal(err)
	}
	want := in(payment.Pending)
	want.IntentID = ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("payment (-want +got):\n%s", diff)
	}
}

func TestChargeIsRejected(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		before payment.Payment
		amount money.Money
		want   error
	}{
		{"nothing", in(""), money.Money{Currency: "GBP"}, payment.ErrAmount},
		{"less than nothing", in(""), money.Money{Currency: "GBP", Minor: -1}, payment.ErrAmount},
		{"no currency", in(""), money.Money{Minor: 1}, payment.ErrAmount},
		{"another amount", in(payment.Pending), money.Money{Currency: "GBP", Minor: 1251}, payment.ErrAmountChanged},
		{"another currency", in(payment.Charged), money.Money{Currency: "EUR", Minor: 1250}, payment.ErrAmountChanged},
		{"another amount, refunded", in(payment.Refunded), money.Money{Currency: "GBP", Minor: 1}, payment.ErrAmountChanged},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, a, err := payment.Charge(c.before, order, c.amount, later)
			if !errors.Is(err, c.want) {
				t.Errorf("error is %v, want %v", err, c.want)
			}
			if got != c.before || a != (payment.Answer{}) {
				t.Error("a rejected charge changed the payment")
			}
		})
	}
}

func TestEntriesBalance(t *testing.T) {
	t.Parallel()
	lateCharge := in(payment.Refunded)
	lateCharge.ChargeVersion = 0
	for _, c := range []struct {
		name string
		p    payment.Payment
		want []string
	}{
		{"pending", in(payment.Pending), nil},
		{"declined", in(payment.Declined), nil},
		{"voided", in(payment.Voided), nil},
		{"charged", in(payment.Charged), []string{"charge", "charge"}},
		{"refunded", in(payment.Refunded), []string{"refund", "refund"}},
		{"charged while voided", lateCharge, []string{"charge", "charge", "refund", "refund"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var kinds []string
			sums := map[string]int64{}
			for _, e := range c.p.Entries() {
				kinds = append(kinds, e.Kind)
				sums[e.Kind] += e.Amount.Minor
			}
			if diff := cmp.Diff(c.want, kinds); diff != "" {
				t.Errorf("postings (-want +got):\n%s", diff)
			}
			for kind, sum := range sums {
				if sum != 0 {
					t.Errorf("the %s adds up to %d, not to zero", kind, sum)
				}
			}
		})
	}
}
