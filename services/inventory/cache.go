package main

import (
	"context"
	"fmt"

	pkgcache "example.com/ballast/pkg/cache"
	"example.com/ballast/pkg/feed"
	"example.com/ballast/pkg/resilience"
	"example.com/ballast/pkg/service"
	"example.com/ballast/services/inventory/internal/cache"
	"example.com/ballast/services/inventory/internal/events"
)

// openRedis connects to this service's own Redis, which the cache and the rate
// limits share.
func openRedis(h *service.Host, cfg Config) (*pkgcache.Redis, error) {
	redis, err := pkgcache.Connect(string(cfg.RedisURL), h.Logger)
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL: %w", err)
	}
	h.OnClose("redis", func(context.Context) error { return redis.Close() })
	h.Admin.Handle("GET /cache", redis)
	h.Go("redis", redis.Run)
	return redis, nil
}

// openCache puts Redis in front of the products, and lets the feed of their
// changes invalidate what is there. A look at the database that is slow is made
// again, on another connection.
func openCache(ctx context.Context, cfg Config, h *service.Host, redis *pkgcache.Redis, store guarded, busy func() bool) (*cache.Products, error) {
	hedge, err := resilience.NewHedge(resilience.HedgeConfig{
		Name: "product reads", Off: func() bool { return busy() || !h.Flags.Bool(ctx, "inventory.hedged-reads", true, "") },
	})
	if err != nil {
		return nil, err
	}
	products, err := cache.NewProducts(cache.Config{
		Redis: redis, Logger: h.Logger, Load: resilience.WrapHedged(hedge, store.Product),
		Stale: func(ctx context.Context, sku string) bool {
			return h.Flags.Bool(ctx, "inventory.stale-reads", true, sku)
		},
	})
	if err != nil {
		return nil, err
	}
	changes, err := feed.Open(ctx, feed.Config{Client: cfg.Kafka.Options("inventory"), Topics: []string{events.ProductsTopic}, Logger: h.Logger})
	if err != nil {
		return nil, err
	}
	changes.Subscribe(products.Announced)
	h.Go("feed of "+events.ProductsTopic, changes.Run)
	return products, nil
}
