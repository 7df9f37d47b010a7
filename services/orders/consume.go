package main

import (
	"example.com/ballast/pkg/faults"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/service"
	"example.com/ballast/pkg/stream"
	"example.com/ballast/services/orders/internal/events"
	"example.com/ballast/services/orders/internal/postgres"
)

// Consumer groups of this service: two, so that a long catalogue never delays a
// checkout.
const (
	group         = "orders"
	productsGroup = "orders.products"
)

// consume starts a consumer for the answers and one for the catalogue.
func consume(host *service.Host, cfg Config, store *postgres.Store) error {
	base := stream.Config{
		Kafka: cfg.Kafka, Transient: pg.Transient, RecordFault: pg.DataFault, Logger: host.Logger,
	}
	answers := base
	answers.Group, answers.Topics = group, []string{events.InventoryEvents, events.PaymentsEvents}
	answers.Handler = faults.Handler(host.Flags, "orders", events.Answers(store.Tell))
	products := base
	products.Group, products.Topics = productsGroup, []string{events.InventoryProducts}
	products.Handler = faults.Handler(host.Flags, "orders", events.Products(store.UpsertProducts))
	for _, c := range []stream.Config{answers, products} {
		consumer, err := stream.New(c)
		if err != nil {
			return err
		}
		host.Go("consumer of group "+c.Group, consumer.Run)
	}
	return nil
}
