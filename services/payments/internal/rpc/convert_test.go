package rpc

import (
	"testing"

	"example.com/ballast/services/payments/internal/payment"
)

func TestEveryStatusHasItsProto(t *testing.T) {
	t.Parallel()
	for _, s := range []payment.Status{
		payment.Pending, payment.Charged, payment.Declined, payment.Voiding, payment.Voided, payment.Refunded,
	} {
		if status[s].String() != "PAYMENT_STATUS_"+string(s) {
			t.Errorf("%s is shown as %s", s, status[s])
		}
	}
}
