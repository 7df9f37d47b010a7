package gateway

import (
	"context"
	"errors"

	"github.com/stripe/stripe-go/v85"

	"example.com/ballast/services/payments/internal/payment"
)

// Do asks the provider one thing and says what became of it in the payment's
// terms. A refund is always of all that is left.
func (g *Gateway) Do(ctx context.Context, call payment.Call) payment.Result {
	p := call.Payment
	var in Intent
	var err error
	switch call.Operation {
	case payment.Create:
		in, err = g.Create(ctx, call.Key, p.OrderID, p.Amount.Minor, p.Amount.Currency)
	case payment.Confirm:
		in, err = g.Confirm(ctx, call.Key, p.IntentID)
	case payment.Cancel:
		in, err = g.Cancel(ctx, call.Key, p.IntentID)
	case payment.Retrieve:
		in, err = g.Retrieve(ctx, p.IntentID)
	case payment.Refund:
		_, err = g.Refund(ctx, call.Key, p.IntentID, 0)
	default:
		return payment.Result{}
	}
	var e *Error
	if errors.As(err, &e) {
		return g.failure(ctx, call, e)
	}
	return payment.Result{
		Outcome: payment.Done, IntentID: in.ID, Intent: stateOf(in.Status), Code: in.DeclineCode,
	}
}

func (g *Gateway) failure(ctx context.Context, call payment.Call, e *Error) payment.Result {
	r := payment.Result{Code: e.Code}
	if e.Intent != nil {
		r.Intent = stateOf(e.Intent.Status)
	}
	switch e.Class {
	case ErrDeclined:
		r.Outcome, r.Intent = payment.Refused, payment.IntentFailed
		if e.DeclineCode != "" {
			r.Code = e.DeclineCode
		}
	case ErrRejected:
		r.Outcome = payment.Invalid
		r.Refunded = call.Operation == payment.Refund && e.Code == CodeAlreadyRefunded
		if e.idempotency() {
			// The key was used with other parameters: by an older release, or
			// before a setting changed. It tells nothing about the payment.
			r.Outcome, r.KeySpent = payment.Unknown, true
		}
	case ErrNotYet:
		r.Outcome = payment.NotYet
	case ErrUnauthorized:
		r.Outcome = payment.NotYet
		g.complaint.Do(func() { g.logger.ErrorContext(ctx, "no payment can be made", "error", e) })
	default:
		r.KeySpent = e.Replayed
	}
	return r
}

func (e *Error) idempotency() bool {
	var se *stripe.Error
	return errors.As(e.cause, &se) && se.Type == stripe.ErrorTypeIdempotency
}

func stateOf(s Status) payment.Intent {
	switch s {
	case StatusRequiresConfirmation:
		return payment.IntentReady
	case StatusRequiresPaymentMethod, StatusRequiresAction:
		// Nobody is there who could act: for us the card is declined.
		return payment.IntentFailed
	case StatusSucceeded:
		return payment.IntentSucceeded
	case StatusCanceled:
		return payment.IntentCanceled
	default:
		return payment.IntentUnknown
	}
}
