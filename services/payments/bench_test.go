package main

import (
	"log/slog"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric/noop"

	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/testkit"
	"example.com/ballast/services/payments/internal/events"
	"example.com/ballast/services/payments/internal/executor"
	"example.com/ballast/services/payments/internal/payment"
	"example.com/ballast/services/payments/internal/postgres"
)

// BenchmarkCharge charges orders from the recorded command to the stored answer,
// in batches of 128, with a provider in memory: what is left is ours. (The
// database of the tests does not wait for the disk.)
func BenchmarkCharge(b *testing.B) {
	const batch, inFlight = 128, 1024
	pool := testkit.Postgres(b, postgres.Migrations())
	store := postgres.New(pool, events.Encode, func() {})
	exec := executor.New(executor.Config{
		Store: store, Gateway: newBank(1, 0), Logger: slog.New(slog.DiscardHandler), Meter: noop.Meter{}, Transient: pg.Transient,
		Concurrency: 64, MaxOpen: inFlight, Lease: time.Minute, CallTimeout: time.Second, Poll: time.Second,
	})
	go func() { _ = exec.Run(b.Context()) }()
	for b.Loop() {
		var commands []payment.Command
		for range batch {
			commands = append(commands, payment.Command{OrderID: ids.New().String(), Amount: amount})
		}
		leased := time.Now()
		opened, err := store.Record(b.Context(), commands, time.Minute)
		if err != nil {
			b.Fatal(err)
		}
		exec.Offer(b.Context(), opened, leased)
		for exec.Full() {
			time.Sleep(100 * time.Microsecond)
		}
	}
	testkit.Eventually(b, "all are settled", func() bool { return exec.Open() == 0 })
	b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "orders/s")
}
