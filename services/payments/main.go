// Command payments takes the money of orders, gives it back, and keeps the
// ledger. It alone talks to the payment provider.
//
//	payments.commands -> consumer -> store: intent, leased --commit--> executor <-- poll: expired leases
//	                        ^                                            |   ^
//	                        '-- pauses while too many are open ----------+   | create, confirm, cancel, refund
//	                                                                     |   v
//	                                                                     | provider <--- reconciler (one leads)
//	                                                                     v                   |
//	payments.events <-- relay (one leads) <-- outbox <-- store: result, ledger entries, answer
//
//	operators -> edge -> rpc -> store, reconciler
//	provider's events -> edge -> webhook -> store: inbox, an earlier end of the lease
package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel"

	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/migrate"
	"example.com/ballast/pkg/outbox"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/service"
	"example.com/ballast/services/payments/internal/events"
	"example.com/ballast/services/payments/internal/executor"
	"example.com/ballast/services/payments/internal/postgres"
)

func main() {
	job := migrate.Job{Service: "payments", Migrations: postgres.Migrations(), Topics: events.Topics, Needs: events.Needs()}
	os.Exit(service.Main(context.Background(), "payments", os.Args[1:], service.Commands{
		"": service.Configured(run), "migrate": service.Configured(job.Run),
	}))
}

// run serves until ctx ends or a signal comes. The end is service.Run's: calls
// are answered; then the consumer commits its batch and the executor stores the
// results of what is in flight; the relay's and Postgres' clients close last.
func run(ctx context.Context, cfg Config) error {
	version := "dev"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
	}
	return service.Run(ctx, service.Config{Name: "payments", Version: version, Settings: cfg.Settings, Print: cfg, LogKeys: logKeys()},
		func(ctx context.Context, host *service.Host) error { return setup(ctx, host, cfg) })
}

func setup(ctx context.Context, host *service.Host, cfg Config) error {
	db, err := pg.Connect(ctx, cfg.Postgres, pg.Config{App: "payments", KeyLookups: true, Logger: host.Logger}, postgres.Migrations(), host.Wait)
	if err != nil {
		return err
	}
	host.OnClose("postgres", db.Close)
	pool := db.Work.Pool
	broker, err := kgo.NewClient(append(cfg.Kafka.Options("payments"), outbox.ProducerOptions()...)...)
	if err != nil {
		return fmt.Errorf("KAFKA_BROKERS: %w", err)
	}
	host.OnClose("kafka", func(context.Context) error { broker.Close(); return nil })
	if err := kafka.Await(ctx, broker, events.Topics(cfg.Kafka.Partitions, cfg.Kafka.Replication), host.Wait); err != nil {
		return err
	}

	relay := outbox.NewRelay(outbox.Config{
		Pool: pool, Client: broker, Lease: host.Lease(pool, "outbox"), Logger: host.Logger,
	})
	relay.Mount(host.Admin)
	store := postgres.New(pool, events.Encode, relay.Signal)
	guarded, provider, err := newGateway(cfg, host.Logger)
	if err != nil {
		return err
	}
	host.OnClose("provider", func(context.Context) error { provider.Close(); return nil })
	exec := executor.New(executor.Config{
		Store: store, Gateway: guarded, Logger: host.Logger, Meter: otel.Meter("payments"), Transient: pg.Transient,
		Concurrency: cfg.ProviderConcurrency, MaxOpen: cfg.MaxOpen, Lease: cfg.Lease, CallTimeout: cfg.callTimeout(), Poll: cfg.LeasePoll,
	})
	if err := consume(host, cfg, store, exec, db.Work.Guard); err != nil {
		return err
	}
	webhooks := takeWebhooks(host, cfg, pool, store, db.Work.Guard)
	host.Go("relay", relay.Run)
	host.Go("executor", exec.Run)
	books, err := compareBooks(host, cfg, db, store, book{provider})
	if err != nil {
		return err
	}
	api := postgres.New(db.API.Pool, events.Encode, relay.Signal)
	return serve(ctx, host, cfg, operations(db.API.Guard, api, books.Run), webhooks)
}
