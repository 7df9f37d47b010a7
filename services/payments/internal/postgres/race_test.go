package postgres_test

import (
	"sync"
	"testing"
	"time"

	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/message"
	"example.com/ballast/services/payments/internal/payment"
	"example.com/ballast/services/payments/internal/postgres"
)

// Between the reading and the writing of a void somebody else opens the payment.
// The void then finds the charge, and nobody hears that there was none.
func TestTheLoserDecidesAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order := ids.New().String()
	var first sync.Once
	slow := postgres.New(b.pool, func(a payment.Answer, trace string, now time.Time) (message.Message, error) {
		first.Do(func() { b.record(t, charge(order)) })
		return encode(a, trace, now)
	}, func() {})
	opened, err := slow.Record(t.Context(), []payment.Command{void(order)}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if len(opened) != 1 || opened[0].Status != payment.Voiding || opened[0].Version != 2 {
		t.Errorf("the void opened %v", opened)
	}
	if got := b.answers(t); len(got) != 0 {
		t.Errorf("answers %v before the provider has said anything", got)
	}
}
