package main

import (
	"context"

	"example.com/ballast/pkg/faults"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/resilience"
	"example.com/ballast/pkg/service"
	"example.com/ballast/pkg/stream"
	"example.com/ballast/services/orders/internal/events"
	"example.com/ballast/services/orders/internal/order"
	"example.com/ballast/services/orders/internal/postgres"
)

// consume starts a consumer for the answers and one for the catalogue. While the
// guard is open they pause, with their batch in hand.
func consume(host *service.Host, cfg Config, store *postgres.Store, guard *resilience.Guard) error {
	base := stream.Config{
		Kafka: cfg.Kafka, Transient: pg.Transient, RecordFault: pg.DataFault, Logger: host.Logger,
	}
	answers := base
	answers.Group, answers.Topics = events.Group, events.Needs().Consumes[events.Group]
	answers.Handler = faults.Handler(host.Flags, "orders", events.Answers(resilience.Wrap(guard, store.Tell)))
	products := base
	products.Group, products.Topics = events.ProductsGroup, events.Needs().Consumes[events.ProductsGroup]
	products.Handler = faults.Handler(host.Flags, "orders", events.Products(func(ctx context.Context, products []order.Product) error {
		return resilience.Run(ctx, guard, func(ctx context.Context) error { return store.UpsertProducts(ctx, products) })
	}))
	for _, c := range []stream.Config{answers, products} {
		consumer, err := stream.New(c)
		if err != nil {
			return err
		}
		host.Go("consumer of group "+c.Group, consumer.Run)
	}
	return nil
}
