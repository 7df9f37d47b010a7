package main

import (
	"context"
	"fmt"

	pkgcache "example.com/ballast/pkg/cache"
	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/resilience"
	"example.com/ballast/pkg/service"
	"example.com/ballast/services/orders/internal/cache"
	"example.com/ballast/services/orders/internal/postgres"
)

// openRedis connects to this service's own Redis, which the cache and the rate
// limits share.
func openRedis(host *service.Host, cfg Config) (*pkgcache.Redis, error) {
	redis, err := pkgcache.Connect(string(cfg.RedisURL), host.Logger)
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL: %w", err)
	}
	host.OnClose("redis", func(context.Context) error { return redis.Close() })
	host.Admin.Handle("GET /cache", redis)
	host.Go("redis", redis.Run)
	return redis, nil
}

// openCache puts Redis in front of the orders that customers look at. A look at
// the database that is slow is made again, on another connection.
func openCache(
	ctx context.Context, host *service.Host, redis *pkgcache.Redis, db *pg.Pools, store *postgres.Store, busy func() bool,
) (*cache.Orders, error) {
	hedge, err := resilience.NewHedge(resilience.HedgeConfig{
		Name: "order reads", Off: func() bool { return busy() || !host.Flags.Bool(ctx, "orders.hedged-reads", true, "") },
	})
	if err != nil {
		return nil, err
	}
	return cache.New(cache.Config{
		Redis: redis, Logger: host.Logger, Load: resilience.WrapHedged(hedge, resilience.Wrap(db.API.Guard, store.Get)),
		Stale: func(ctx context.Context, id ids.ID) bool {
			return host.Flags.Bool(ctx, "orders.stale-reads", true, id.String())
		},
	})
}
