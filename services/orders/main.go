// Command orders takes orders and runs their checkout saga.
//
//	PlaceOrder ─> rpc ─> intake (batches) ─┐
//	CancelOrder ─> rpc ────────────────────┤
//	inventory.events, payments.events ─────┼─> postgres: decide, write ─> outbox ─> relay ─> orders.events,
//	sweeper (deadlines) ───────────────────┘                                               inventory.commands,
//	inventory.products ─> postgres: own copy of the catalogue                              payments.commands
package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/gen/orders/v1/ordersv1connect"
	"example.com/ballast/pkg/batch"
	"example.com/ballast/pkg/config"
	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/faults"
	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/lease"
	"example.com/ballast/pkg/outbox"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/service"
	"example.com/ballast/services/orders/internal/events"
	"example.com/ballast/services/orders/internal/order"
	"example.com/ballast/services/orders/internal/postgres"
	"example.com/ballast/services/orders/internal/rpc"
)

func main() {
	cfg, err := config.Load[Config]()
	if err == nil {
		version := "dev"
		if info, ok := debug.ReadBuildInfo(); ok {
			version = info.Main.Version
		}
		err = service.Run(context.Background(), service.Config{
			Name: "orders", Version: version, Settings: cfg.Settings, Print: cfg,
		}, func(ctx context.Context, host *service.Host) error { return setup(ctx, host, cfg) })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "orders:", err)
		os.Exit(1)
	}
}

func setup(ctx context.Context, host *service.Host, cfg Config) error {
	migrations, err := postgres.Migrations()
	if err != nil {
		return err
	}
	if url := string(cfg.PostgresMigrationURL); url != "" {
		if err := pg.Migrate(ctx, url, migrations, host.Logger); err != nil {
			return err
		}
	}
	pool, err := pg.Open(ctx, pg.Config{URL: string(cfg.PostgresURL), App: "orders", KeyLookups: true, Logger: host.Logger})
	if err != nil {
		return err
	}
	host.OnClose("postgres", func(context.Context) error { pool.Close(); return nil })

	broker, err := kgo.NewClient(append(cfg.Kafka.Options("orders"), outbox.ProducerOptions()...)...)
	if err != nil {
		return fmt.Errorf("KAFKA_BROKERS: %w", err)
	}
	host.OnClose("kafka", func(context.Context) error { broker.Close(); return nil })
	if err := kafka.EnsureTopics(ctx, broker, events.Topics(cfg.Kafka.Partitions, cfg.Kafka.Replication)); err != nil {
		return err
	}
	holder := ids.New().String() // one process, one name in the lease
	relay := outbox.NewRelay(outbox.Config{
		Pool: pool, Client: broker, Lease: lease.New(pool, "outbox", holder, 5*time.Second), Logger: host.Logger,
	})
	relay.Mount(host.Admin)
	store := postgres.New(postgres.Config{
		Pool: pool, Codec: events.Codec{}, Policy: cfg.policy(), Now: time.Now,
		Committed: func([]order.State) { relay.Signal() },
	})
	intake := batch.New(batch.Config{
		MaxBatch: cfg.IntakeBatch, MaxQueue: cfg.IntakeQueue, Workers: 1, Timeout: 5 * time.Second,
	}, store.Place)

	if err := consume(host, cfg, store); err != nil {
		return err
	}
	admin := kadm.NewClient(broker)
	sweeps := &sweeper{
		every: cfg.SweepEvery, batch: cfg.SweepBatch, grace: cfg.ResendAfter / 2, settle: cfg.ResendAfter,
		overdue: store.Overdue, sweep: store.Sweep,
		unread: events.Backlog{Admin: admin, Group: group}.Unread, logger: host.Logger,
	}
	host.Go("relay", relay.Run)
	host.Go("intake", intake.Run)
	host.Go("sweeper", sweeps.run)
	if err := host.Wait(ctx, "the catalogue on "+events.InventoryProducts,
		events.CaughtUp(admin, productsGroup, events.InventoryProducts)); err != nil {
		return err
	}
	return serve(host, cfg, rpc.Orders{
		Place: intake.Do, Get: store.Get, List: store.List, History: store.History, Tell: store.Tell,
	})
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
