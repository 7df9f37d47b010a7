// Command orders takes orders and runs their checkout saga.
//
//	PlaceOrder ─> rpc ─> intake (batches) ─┐
//	CancelOrder ─> rpc ────────────────────┤
//	inventory.events, payments.events ─────┼─> postgres: decide, write ─> outbox ─> relay ─> orders.events,
//	sweeper (deadlines) ───────────────────┘                                               inventory.commands,
//	inventory.products ─> postgres: own copy of the catalogue                              payments.commands
//	orders.events ─> feed (every process, no group) ─┬> watchers ─> rpc ─> WatchOrder
//	                                                 └> cache (Redis): forgets ─> rpc ─> GetOrder
package main

import (
	"context"
	"os"
	"runtime/debug"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"example.com/ballast/pkg/batch"
	"example.com/ballast/pkg/migrate"
	"example.com/ballast/pkg/outbox"
	"example.com/ballast/pkg/service"
	"example.com/ballast/services/orders/internal/events"
	"example.com/ballast/services/orders/internal/postgres"
)

func main() {
	job := migrate.Job{Service: "orders", Migrations: postgres.Migrations(), Topics: events.Topics, Needs: events.Needs()}
	os.Exit(service.Main(context.Background(), "orders", os.Args[1:], service.Commands{
		"": service.Configured(run), "migrate": service.Configured(job.Run),
	}))
}

// run serves until ctx ends or a signal comes.
func run(ctx context.Context, cfg Config) error {
	version := "dev"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
	}
	return service.Run(ctx, service.Config{Name: "orders", Version: version, Settings: cfg.Settings, Print: cfg, LogKeys: logKeys()},
		func(ctx context.Context, host *service.Host) error { return setup(ctx, host, cfg) })
}

func setup(ctx context.Context, host *service.Host, cfg Config) error {
	db, err := openPostgres(ctx, host, cfg)
	if err != nil {
		return err
	}
	broker, err := openKafka(ctx, host, cfg)
	if err != nil {
		return err
	}
	relay := outbox.NewRelay(outbox.Config{
		Pool: db.Work.Pool, Client: broker, Lease: host.Lease(db.Work.Pool, "outbox"), Logger: host.Logger,
	})
	relay.Mount(host.Admin)
	api, store, err := openStores(ctx, host, cfg, db, relay.Signal)
	if err != nil {
		return err
	}
	intake := batch.New(batch.Config{
		Name: "intake", MaxBatch: cfg.IntakeBatch, MaxQueue: cfg.IntakeQueue, Workers: 1, Timeout: 5 * time.Second,
	}, placeThrough(db.API.Guard, api.Place))

	if err := consume(host, cfg, store, db.Work.Guard); err != nil {
		return err
	}
	admin := kadm.NewClient(broker)
	backlog := events.Backlog{Admin: admin, Group: events.Group}
	sweeps := &sweeper{
		every: cfg.SweepEvery, batch: cfg.SweepBatch, grace: cfg.ResendAfter / 2, settle: cfg.ResendAfter,
		overdue: store.Overdue, sweep: store.Sweep,
		unread: backlog.Unread, logger: host.Logger,
	}
	redis, err := openRedis(host, cfg)
	if err != nil {
		return err
	}
	press := &pressure{relay: relay, ask: backlog.Records, logger: host.Logger}
	shedder, err := newShedder(ctx, host, cfg, press.backlogs())
	if err != nil {
		return err
	}
	reads, err := openCache(ctx, host, redis, db, api, shedder.Shedding)
	if err != nil {
		return err
	}
	watchers, err := watch(ctx, host, cfg, reads)
	if err != nil {
		return err
	}
	host.Go("relay", relay.Run)
	host.Go("intake", intake.Run)
	host.Go("sweeper", sweeps.run)
	if err := host.Wait(ctx, "the catalogue on "+events.InventoryProducts,
		events.CaughtUp(admin, events.ProductsGroup, events.InventoryProducts)); err != nil {
		return err
	}
	host.Go("pressure", press.run)
	return serve(ctx, host, cfg, redis, shedder,
		guarded(db.API.Guard, api, reads, underCap(cfg, relay.Stats, intake.Do), subscribe(watchers)))
}
