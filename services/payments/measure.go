package main

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"example.com/ballast/services/payments/internal/payment"
	"example.com/ballast/services/payments/internal/reconcile"
)

// books show what is known of the money: an alarm watches that the ledger adds up
// to zero, that it agrees with the provider's book, and that the two are compared.
// Only the process that leads reconciliation knows, and the others say nothing.
type books struct {
	meter          metric.Meter
	runs, compared metric.Int64Counter
}

func newBooks(meter metric.Meter) *books {
	return &books{meter: meter, runs: newReconcileRunsCounter(meter), compared: newReconcileComparedCounter(meter)}
}

// found counts a comparison.
func (b *books) found(ctx context.Context, r payment.Reconciliation) {
	b.runs.Add(ctx, 1)
	b.compared.Add(ctx, r.Compared)
}

// show exports what both of the two know. An empty ledger has no currency: that it
// was added up is seen by the number of its entries.
func (b *books) show(known func() *reconcile.Known, sums func() (payment.Sums, bool)) error {
	differences, age := newReconcileDifferencesGauge(b.meter), newReconcileAgeGauge(b.meter)
	imbalance, entries := newLedgerImbalanceGauge(b.meter), newLedgerEntriesGauge(b.meter)
	_, err := b.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		if k := known(); k != nil {
			o.ObserveFloat64(age, max(0, time.Since(k.Until).Seconds())) // The clock of who compared may be ahead.
			for kind, n := range count(k) {
				o.ObserveInt64(differences, n, metric.WithAttributes(attribute.String("kind", string(kind))))
			}
		}
		if s, ok := sums(); ok {
			o.ObserveInt64(entries, s.Entries)
			for currency, sum := range s.Balance {
				o.ObserveInt64(imbalance, sum, metric.WithAttributes(attribute.String("currency", currency)))
			}
		}
		return nil
	}, differences, age, imbalance, entries)
	return err
}

// count is empty until the process has compared itself.
func count(k *reconcile.Known) map[payment.DifferenceKind]int64 {
	n := map[payment.DifferenceKind]int64{}
	if !k.Compared {
		return n
	}
	for _, kind := range payment.DifferenceKinds() {
		n[kind] = 0
	}
	for _, d := range k.Differences {
		n[d.Kind]++
	}
	return n
}
