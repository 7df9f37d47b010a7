// Command inventory owns products, stock, reservations and shipments.
//
//	           commands            answers, products
//	Kafka ---> stream --> events --> stock --> postgres --> outbox --> Kafka
//	                      decode     decide    one write    relay
//
//	people --> edge ----> rpc ---> postgres
//	                       '-----> cache (Redis), products only <-- feed of inventory.products
//
//	lease "republisher": one process announces the catalogue on a schedule
package main

import (
	"context"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/migrate"
	"example.com/ballast/pkg/outbox"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/service"
	"example.com/ballast/pkg/shed"
	"example.com/ballast/services/inventory/internal/events"
	"example.com/ballast/services/inventory/internal/postgres"
	"example.com/ballast/services/inventory/internal/stock"
)

func main() {
	job := migrate.Job{Service: "inventory", Migrations: postgres.Migrations(), Topics: events.Topics, Needs: events.Needs()}
	os.Exit(service.Main(context.Background(), "inventory", os.Args[1:], service.Commands{
		"": service.Configured(run), "migrate": service.Configured(job.Run),
	}))
}

// run serves until ctx ends or a signal comes. The end is service.Run's: calls
// are answered, the loops finish what they hold, then the clients close.
func run(ctx context.Context, cfg Config) error {
	return service.Run(ctx, service.Config{Name: "inventory", Version: "dev", Settings: cfg.Settings, Print: cfg, LogKeys: logKeys()},
		func(ctx context.Context, h *service.Host) error { return setup(ctx, cfg, h) })
}

// setup builds from the outside in, so that everything that is opened is there
// before something needs it.
func setup(ctx context.Context, cfg Config, h *service.Host) error {
	db, err := pg.Connect(ctx, cfg.Postgres, pg.Config{App: "inventory", Logger: h.Logger}, postgres.Migrations(), h.Wait)
	if err != nil {
		return err
	}
	h.OnClose("postgres", db.Close)
	pool := db.Work.Pool
	client, err := connectKafka(ctx, cfg, h)
	if err != nil {
		return err
	}

	relay := outbox.NewRelay(outbox.Config{
		Pool: pool, Client: client, Lease: h.Lease(pool, "outbox"), Logger: h.Logger,
	})
	relay.Mount(h.Admin)
	// The same store twice: one on the connections of people, one on the work's.
	stored := postgres.Config{
		Pool:    db.API.Pool,
		Decider: stock.NewDecider(cfg.UnservedCountries),
		AnnounceProduct: func(p stock.Product) (message.Message, error) {
			return events.EncodeProduct(p, time.Now())
		},
		Signal: relay.Signal,
	}
	api := guarded{postgres.New(stored), db.API.Guard}
	stored.Pool = pool
	store := postgres.New(stored)
	consumer, err := newConsumer(cfg, h, store, db.Work.Guard)
	if err != nil {
		return err
	}
	republisher := &events.Republisher{
		Every: cfg.RepublishEvery,
		Empty: func(ctx context.Context) (bool, error) {
			return events.TopicEmpty(ctx, kadm.NewClient(client), events.ProductsTopic)
		},
		Republish: store.Republish,
		Logger:    h.Logger,
	}
	backlogs := shed.Backlogs{OutboxAge: func() time.Duration { return relay.Stats().Age }, Lag: consumer.Lag}
	shedder, err := newShedder(ctx, cfg, h, backlogs)
	if err != nil {
		return err
	}
	redis, err := openRedis(h, cfg)
	if err != nil {
		return err
	}
	products, err := openCache(ctx, cfg, h, redis, api, shedder.Shedding)
	if err != nil {
		return err
	}
	if err := serve(ctx, cfg, h, redis, api, products, shedder); err != nil {
		return err
	}
	leader := h.Lease(pool, "republisher")
	h.Go("outbox relay", relay.Run)
	h.Go("commands", consumer.Run)
	h.Go("republisher", func(ctx context.Context) error {
		return leader.Run(ctx, republisher.Lead)
	})
	return nil
}
