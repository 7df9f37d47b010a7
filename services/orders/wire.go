package main

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel"

	"example.com/ballast/pkg/feed"
	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/outbox"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/service"
	"example.com/ballast/services/orders/internal/cache"
	"example.com/ballast/services/orders/internal/events"
	"example.com/ballast/services/orders/internal/order"
	"example.com/ballast/services/orders/internal/postgres"
	"example.com/ballast/services/orders/internal/rpc"
)

// openPostgres waits for the database, migrates when it is told the owner's URL,
// and opens both pools.
func openPostgres(ctx context.Context, host *service.Host, cfg Config) (*pg.Pools, error) {
	db, err := pg.Connect(ctx, cfg.Postgres, pg.Config{App: "orders", KeyLookups: true, Logger: host.Logger}, postgres.Migrations(), host.Wait)
	if err == nil {
		host.OnClose("postgres", db.Close)
	}
	return db, err
}

// openKafka connects and makes the topics that are missing.
func openKafka(ctx context.Context, host *service.Host, cfg Config) (*kgo.Client, error) {
	broker, err := kgo.NewClient(append(cfg.Kafka.Options("orders"), outbox.ProducerOptions()...)...)
	if err != nil {
		return nil, fmt.Errorf("KAFKA_BROKERS: %w", err)
	}
	host.OnClose("kafka", func(context.Context) error { broker.Close(); return nil })
	return broker, kafka.Await(ctx, broker, events.Topics(cfg.Kafka.Partitions, cfg.Kafka.Replication), host.Wait)
}

// openStores makes the same store twice, on the connections of people and on
// those of the work. Whatever they commit is measured, wakes the relay and may
// call a person.
func openStores(ctx context.Context, host *service.Host, cfg Config, db *pg.Pools, signal func()) (api, work *postgres.Store, err error) {
	alarm, err := newAlarm(otel.Meter(scope), host.Logger, func(ctx context.Context) (map[order.Status]int64, error) { return work.Unfinished(ctx) })
	if err != nil {
		return nil, nil, err
	}
	sagas := newSagas(ctx, otel.Meter(scope))
	c := postgres.Config{
		Pool: db.API.Pool, Codec: events.Codec{}, Policy: cfg.policy(), Now: time.Now,
		Committed: func(ctx context.Context, changes []order.Change) {
			signal()
			sagas.committed(ctx, changes)
			alarm.committed(ctx, changes)
		},
	}
	api = postgres.New(c)
	c.Pool = db.Work.Pool
	work = postgres.New(c)
	host.Go("count of unfinished orders", alarm.counts.Run)
	return api, work, nil
}

// watch follows orders.events for the streams of this process, and for its cache.
func watch(ctx context.Context, host *service.Host, cfg Config, reads *cache.Orders) (*events.Watchers, error) {
	watchers := events.NewWatchers(func() int {
		return int(host.Flags.Number(ctx, "orders.watch-limit", float64(cfg.WatchLimit), ""))
	})
	changes, err := feed.Open(ctx, feed.Config{Client: cfg.Kafka.Options("orders"), Topics: []string{events.OrderEvents}, Logger: host.Logger})
	if err != nil {
		return nil, err
	}
	changes.Subscribe(reads.Happened) // first: who is told looks
	changes.Subscribe(watchers.Tell)
	host.Go("feed of "+events.OrderEvents, changes.Run)
	return watchers, nil
}

// subscribe makes the events' subscriptions the calls' updates: siblings don't
// know each other.
func subscribe(watchers *events.Watchers) func(context.Context, ids.ID) (rpc.Updates, error) {
	return func(ctx context.Context, id ids.ID) (rpc.Updates, error) {
		s, err := watchers.Subscribe(ctx, id)
		if err != nil {
			return nil, err
		}
		return s, nil
	}
}
