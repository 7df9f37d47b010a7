package main

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/faults"
	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/outbox"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/resilience"
	"example.com/ballast/pkg/service"
	"example.com/ballast/pkg/stream"
	"example.com/ballast/services/inventory/internal/events"
	"example.com/ballast/services/inventory/internal/postgres"
	"example.com/ballast/services/inventory/internal/stock"
)

// connectKafka waits for the brokers and makes the topics that are missing.
func connectKafka(ctx context.Context, cfg Config, h *service.Host) (*kgo.Client, error) {
	opts := append(cfg.Kafka.Options("inventory"), outbox.ProducerOptions()...)
	client, err := kgo.NewClient(append(opts, kgo.WithLogger(kafka.Logger(h.Logger)))...)
	if err != nil {
		return nil, fmt.Errorf("KAFKA_BROKERS: %w", err)
	}
	h.OnClose("kafka", func(ctx context.Context) error {
		defer client.Close()
		return client.Flush(ctx)
	})
	return client, kafka.Await(ctx, client, events.Topics(cfg.Kafka.Partitions, cfg.Kafka.Replication), h.Wait)
}

// newConsumer decides the commands. What violates a constraint that no outcome
// has a name for must have been caused by a record, and is found by bisection.
// While the guard is open it pauses, with its batch in hand.
func newConsumer(cfg Config, h *service.Host, store *postgres.Store, guard *resilience.Guard) (*stream.Consumer, error) {
	apply := func(ctx context.Context, commands []stock.Command, announce postgres.Announce) error {
		return resilience.Run(ctx, guard, func(ctx context.Context) error { return store.Apply(ctx, commands, announce) })
	}
	return stream.New(stream.Config{
		Kafka:       cfg.Kafka,
		Group:       events.Group,
		Topics:      []string{events.CommandsTopic},
		Handler:     faults.Handler(h.Flags, "inventory", events.NewHandler(apply, time.Now).HandleBatch),
		MaxBatch:    cfg.MaxBatch,
		Transient:   pg.Transient,
		RecordFault: pg.DataFault,
		Logger:      h.Logger,
	})
}
