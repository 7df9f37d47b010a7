package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"example.com/ballast/services/payments/internal/payment"
)

// books show what is known of the money: an alarm watches that the ledger adds up
// to zero, that it agrees with the provider's book, and that the two are compared.
type books struct {
	// ask adds the ledger up by currency.
	ask func(context.Context) (map[string]int64, error)
	// every is the interval of reconciliation.
	every time.Duration

	runs, compared metric.Int64Counter

	mu       sync.Mutex
	complete time.Time // when this process last compared to the end, or began
	standing map[payment.DifferenceKind]int64
	known    time.Time // when standing was found

	sums  map[string]int64
	asked time.Time // when ask may be called again
}

const (
	// sumTimeout bounds ask, so that a database that is away does not take the other
	// metrics with it.
	sumTimeout = time.Second
	// sumShare is how much longer ask rests than it took: its time grows with the
	// ledger, and scrapes must not cost a connection.
	sumShare = 100
)

func newBooks(meter metric.Meter, every time.Duration, ask func(context.Context) (map[string]int64, error)) (*books, error) {
	b := &books{
		ask: ask, every: every, complete: time.Now(),
		runs: newReconcileRunsCounter(meter), compared: newReconcileComparedCounter(meter),
	}
	differences, age, imbalance := newReconcileDifferencesGauge(meter), newReconcileAgeGauge(meter), newLedgerImbalanceGauge(meter)
	_, err := meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		for kind, n := range b.differences(time.Now()) {
			o.ObserveInt64(differences, n, metric.WithAttributes(attribute.String("kind", string(kind))))
		}
		o.ObserveFloat64(age, b.age(time.Now()).Seconds())
		sums, err := b.sum(ctx)
		for currency, sum := range sums {
			o.ObserveInt64(imbalance, sum, metric.WithAttributes(attribute.String("currency", currency)))
		}
		return err
	}, differences, age, imbalance)
	return b, err
}

// found takes in the result of a comparison.
func (b *books) found(ctx context.Context, r payment.Reconciliation, standing []payment.Difference) {
	b.runs.Add(ctx, 1)
	b.compared.Add(ctx, r.Compared)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.known = time.Now()
	if r.Next == (payment.Mark{}) {
		b.complete = b.known
	}
	b.standing = map[payment.DifferenceKind]int64{}
	for _, kind := range payment.DifferenceKinds() {
		b.standing[kind] = 0
	}
	for _, d := range standing {
		b.standing[d.Kind]++
	}
}

// differences are what stands. Who compares no more, because another process leads,
// no longer knows.
func (b *books) differences(now time.Time) map[payment.DifferenceKind]int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Sub(b.known) > 3*b.every {
		return nil
	}
	return b.standing
}

func (b *books) age(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return now.Sub(b.complete)
}

// sum adds the ledger up, or gives the last answer when that was a moment ago. One
// scrape at a time: more would ask the same.
func (b *books) sum(ctx context.Context) (map[string]int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	began := time.Now()
	if began.Before(b.asked) {
		return b.sums, nil
	}
	ctx, cancel := context.WithTimeout(ctx, sumTimeout)
	defer cancel()
	var err error
	if b.sums, err = b.ask(ctx); err != nil {
		err = fmt.Errorf("add up the ledger: %w", err)
	}
	b.asked = time.Now().Add(sumShare * time.Since(began))
	return b.sums, err
}
