package main

import (
	"context"
	"time"

	"example.com/ballast/pkg/faults"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/resilience"
	"example.com/ballast/pkg/service"
	"example.com/ballast/pkg/stream"
	"example.com/ballast/services/payments/internal/events"
	"example.com/ballast/services/payments/internal/executor"
	"example.com/ballast/services/payments/internal/payment"
	"example.com/ballast/services/payments/internal/postgres"
)

// consume records commands and hands what they open to the executor, after the
// commit that has leased it to this process. While the guard is open the consumer
// pauses, with its batch in hand.
func consume(host *service.Host, cfg Config, store *postgres.Store, exec *executor.Executor, guard *resilience.Guard) error {
	record := func(ctx context.Context, commands []payment.Command) error {
		leased := time.Now()
		opened, err := resilience.Do(ctx, guard, func(ctx context.Context) ([]payment.Payment, error) {
			return store.Record(ctx, commands, cfg.Lease)
		})
		if err == nil {
			exec.Offer(ctx, opened, leased)
		}
		return err
	}
	consumer, err := stream.New(stream.Config{
		Kafka: cfg.Kafka, Group: events.Group, Topics: []string{events.Commands}, Handler: faults.Handler(host.Flags, "payments", events.Handler(record)),
		Transient: pg.Transient, RecordFault: pg.DataFault, Pause: exec.Full, Logger: host.Logger,
	})
	if err != nil {
		return err
	}
	host.Go("consumer of group "+events.Group, consumer.Run)
	return nil
}
