package payment

import "example.com/ballast/pkg/money"

// AnswerKind says which message an Answer is.
type AnswerKind uint8

// The kinds of answers.
const (
	// NoAnswer is due: the provider's result is awaited.
	NoAnswer AnswerKind = iota
	AnswerCharged
	AnswerDeclined
	AnswerCancelled // a charge refused because of a void
	AnswerVoided
	AnswerRefunded
)

// Answer is what the order's saga is told. It is a function of the payment as
// it is stored, so a repeated command gets the same answer by construction.
type Answer struct {
	Kind        AnswerKind
	OrderID     string
	Version     int64
	Amount      money.Money // taken or given back
	IntentID    string      // of AnswerCharged
	DeclineCode string      // of AnswerDeclined
}

// Answer is due when a result has settled the payment: the answer to the
// command that opened it.
func (p Payment) Answer() Answer {
	switch p.Status {
	case Charged, Declined:
		return p.chargeAnswer()
	case Voided, Refunded:
		return p.voidAnswer()
	}
	return Answer{}
}

// chargeAnswer stays what it was after a later void: the saga orders the two by
// their versions.
func (p Payment) chargeAnswer() Answer {
	a := Answer{OrderID: p.OrderID, Version: p.ChargeVersion}
	switch {
	case p.ChargeVersion > 0 && p.Captured:
		a.Kind, a.Amount, a.IntentID = AnswerCharged, p.Amount, p.IntentID
	case p.ChargeVersion > 0:
		a.Kind, a.DeclineCode = AnswerDeclined, p.DeclineCode
	case p.Status == Voided || p.Status == Refunded:
		a.Kind, a.Version = AnswerCancelled, p.Version
	default:
		return Answer{}
	}
	return a
}

func (p Payment) voidAnswer() Answer {
	a := Answer{OrderID: p.OrderID, Version: p.Version}
	switch p.Status {
	case Voided:
		a.Kind = AnswerVoided
	case Refunded:
		a.Kind, a.Amount = AnswerRefunded, p.Amount
	default:
		return Answer{}
	}
	return a
}
