package main

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/gen/orders/v1/ordersv1connect"
	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/faults"
	"example.com/ballast/pkg/feed"
	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/outbox"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/service"
	"example.com/ballast/services/orders/internal/events"
	"example.com/ballast/services/orders/internal/order"
	"example.com/ballast/services/orders/internal/postgres"
	"example.com/ballast/services/orders/internal/rpc"
)

// openPostgres migrates, when it is told the owner's URL, and connects.
func openPostgres(ctx context.Context, host *service.Host, cfg Config) (*pgxpool.Pool, error) {
	migrations, err := postgres.Migrations()
	if err != nil {
		return nil, err
	}
	if url := string(cfg.PostgresMigrationURL); url != "" {
		if err := pg.Migrate(ctx, url, migrations, host.Logger); err != nil {
			return nil, err
		}
	}
	pool, err := pg.Open(ctx, pg.Config{URL: string(cfg.PostgresURL), App: "orders", KeyLookups: true, Logger: host.Logger})
	if err != nil {
		return nil, err
	}
	host.OnClose("postgres", func(context.Context) error { pool.Close(); return nil })
	return pool, nil
}

// openKafka connects and makes the topics that are missing.
func openKafka(ctx context.Context, host *service.Host, cfg Config) (*kgo.Client, error) {
	broker, err := kgo.NewClient(append(cfg.Kafka.Options("orders"), outbox.ProducerOptions()...)...)
	if err != nil {
		return nil, fmt.Errorf("KAFKA_BROKERS: %w", err)
	}
	host.OnClose("kafka", func(context.Context) error { broker.Close(); return nil })
	return broker, kafka.EnsureTopics(ctx, broker, events.Topics(cfg.Kafka.Partitions, cfg.Kafka.Replication))
}

// openStore makes the store; whatever it commits wakes the relay and may call a
// person.
func openStore(host *service.Host, cfg Config, pool *pgxpool.Pool, signal func()) (*postgres.Store, error) {
	var store *postgres.Store
	alarm, err := newAlarm(host.Logger, func(ctx context.Context) (map[order.Status]int64, error) { return store.Unfinished(ctx) })
	if err != nil {
		return nil, err
	}
	store = postgres.New(postgres.Config{
		Pool: pool, Codec: events.Codec{}, Policy: cfg.policy(), Now: time.Now,
		Committed: func(ctx context.Context, states []order.State) {
			signal()
			alarm.committed(ctx, states)
		},
	})
	return store, nil
}

// watch follows orders.events for the streams of this process.
func watch(ctx context.Context, host *service.Host, cfg Config) (*events.Watchers, error) {
	watchers, err := events.NewWatchers(func() int { return cfg.WatchLimit })
	if err != nil {
		return nil, err
	}
	changes, err := feed.Open(ctx, feed.Config{Client: cfg.Kafka.Options("orders"), Topics: []string{events.OrderEvents}, Logger: host.Logger})
	if err != nil {
		return nil, err
	}
	changes.Subscribe(watchers.Tell)
	host.Go("feed of "+events.OrderEvents, changes.Run)
	return watchers, nil
}

func serve(host *service.Host, cfg Config, orders rpc.Orders) error {
	verifier, err := edge.ReadVerifier(cfg.JWTPublicKeyFile)
	if err != nil {
		return fmt.Errorf("JWT_PUBLIC_KEY_FILE: %w", err)
	}
	server, err := edge.NewServer(edge.Config{
		Logger: host.Logger, Verifier: verifier, Healthy: host.Healthy, Draining: host.Draining(),
		Admit: []connect.ServerInterceptor{faults.RPC(host.Flags, "orders")},
	})
	if err != nil {
		return err
	}
	ordersv1connect.RegisterOrderServiceHandler(server.RPC, rpc.New(orders))
	handler, err := server.Handler()
	if err != nil {
		return err
	}
	host.Serve(handler)
	return nil
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
