package reconcile

import (
	"strings"

	paymentsv1 "example.com/ballast/gen/payments/v1"
)

// The ledger's words, as payments.v1.LedgerEntry has them.
const (
	kindCharge        = "charge"
	kindRefund        = "refund"
	accountReceivable = "provider_receivable"
	accountPayments   = "customer_payments"
)

// checkLedger compares the ledger with the provider's book, both ways, and its
// debits with its credits.
func checkLedger(f *findings, books *Books, book map[string]*balance) {
	type posting struct{ order, kind, currency string }
	sums := map[posting]int64{}
	ledger := map[string]*balance{}
	var debits, credits int64
	for _, e := range books.Ledger {
		amount := e.GetAmount().GetMinorUnits()
		debits += max(amount, 0)
		credits -= min(amount, 0)
		sums[posting{e.GetOrderId(), e.GetKind(), e.GetAmount().GetCurrency()}] += amount
		b := ledger[e.GetOrderId()]
		if b == nil {
			b = &balance{currency: e.GetAmount().GetCurrency()}
			ledger[e.GetOrderId()] = b
		}
		b.post(f, e)
	}
	if debits != credits {
		f.add("ledger", "all", "debits are %d, credits %d", debits, credits)
	}
	for p, sum := range sums {
		if sum != 0 {
			f.add("ledger", p.order, "the %s does not add up to zero but to %d", p.kind, sum)
		}
	}
	for id, b := range book {
		l := ledger[id]
		if l == nil {
			l = &balance{currency: b.currency}
		}
		if !strings.EqualFold(l.currency, b.currency) {
			f.add("ledger", id, "the ledger is in %s, the provider's book in %s", l.currency, b.currency)
		}
		if l.captures != b.captures || l.captured != b.captured || l.refunds != b.refunds || l.refunded != b.refunded {
			f.add("ledger", id, "the ledger has %d charges of %d and %d refunds of %d, the provider's book %d of %d and %d of %d",
				l.captures, l.captured, l.refunds, l.refunded, b.captures, b.captured, b.refunds, b.refunded)
		}
	}
	for id, l := range ledger {
		if book[id] == nil {
			f.add("ledger", id, "the ledger has %d charged and %d refunded, the provider's book nothing", l.captured, l.refunded)
		}
	}
}

// post adds the side of an entry that names what the provider owes us.
func (b *balance) post(f *findings, e *paymentsv1.LedgerEntry) {
	switch e.GetAccount() {
	case accountReceivable:
	case accountPayments:
		return
	default:
		f.add("ledger", e.GetOrderId(), "an entry of the unknown account %q", e.GetAccount())
		return
	}
	amount := e.GetAmount().GetMinorUnits()
	switch e.GetKind() {
	case kindCharge:
		b.captures++
		b.captured += amount
	case kindRefund:
		b.refunds++
		b.refunded -= amount
	default:
		f.add("ledger", e.GetOrderId(), "an entry of the unknown kind %q", e.GetKind())
	}
}
