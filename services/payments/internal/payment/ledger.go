package payment

import (
	"time"

	"example.com/ballast/pkg/money"
)

// The kinds of postings; an order has at most one of each.
const (
	PostingCharge = "charge"
	PostingRefund = "refund"
)

// The accounts. What the provider has taken for us is owed by it to us, and
// stands against what the customers have paid.
const (
	ProviderReceivable = "provider_receivable"
	CustomerPayments   = "customer_payments"
)

// Entry is one side of a posting: above zero debits the account, below credits it.
type Entry struct {
	OrderID string
	Kind    string
	Account string
	Amount  money.Money
}

// Posted is an entry as the ledger keeps it; ids rise in the order of posting.
type Posted struct {
	Entry

	ID   int64
	Time time.Time
}

// Entries returns what the ledger posts when the payment has just been settled.
// The entries of each posting add up to zero.
func (p Payment) Entries() []Entry {
	switch {
	case p.Status == Charged:
		return p.posting(PostingCharge, 1)
	case p.Status == Refunded && p.ChargeVersion > 0:
		return p.posting(PostingRefund, -1)
	case p.Status == Refunded:
		// The charge came through while it was being voided: it was never posted.
		return append(p.posting(PostingCharge, 1), p.posting(PostingRefund, -1)...)
	}
	return nil
}

func (p Payment) posting(kind string, sign int64) []Entry {
	debit := money.Money{Currency: p.Amount.Currency, Minor: sign * p.Amount.Minor}
	credit := money.Money{Currency: p.Amount.Currency, Minor: -sign * p.Amount.Minor}
	return []Entry{
		{OrderID: p.OrderID, Kind: kind, Account: ProviderReceivable, Amount: debit},
		{OrderID: p.OrderID, Kind: kind, Account: CustomerPayments, Amount: credit},
	}
}
