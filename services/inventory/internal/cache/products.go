// Package cache keeps products in inventory's own Redis. It answers people who
// look at the catalogue; prices that are charged and stock that is promised never
// come from here.
package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"example.com/ballast/pkg/cache"
	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/message"
	"example.com/ballast/services/inventory/internal/stock"
)

// Name is what the keys begin with.
const Name = "product"

// Products is the cache-aside view of products by SKU.
type Products struct {
	cache *cache.Cache[string, stock.Product]
}

// Config of Products; every field is needed.
type Config struct {
	Redis  *cache.Redis
	Logger *slog.Logger
	// Load reads the database and fails with stock.ErrUnknownProduct where there is
	// none.
	Load func(ctx context.Context, sku string) (stock.Product, error)
	// Stale allows answers that are not fresh, by SKU.
	Stale func(ctx context.Context, sku string) bool
}

// NewProducts returns a cache in front of the database.
func NewProducts(cfg Config) (*Products, error) {
	c, err := cache.New(cache.Config[string, stock.Product]{
		Name:    Name,
		Redis:   cfg.Redis,
		Logger:  cfg.Logger,
		Key:     func(sku string) string { return sku },
		Encode:  func(p stock.Product) ([]byte, error) { return json.Marshal(p) },
		Decode:  func(b []byte) (p stock.Product, err error) { return p, json.Unmarshal(b, &p) },
		Version: func(p stock.Product) int64 { return p.Version },
		Load: func(ctx context.Context, sku string) (stock.Product, bool, error) {
			p, err := cfg.Load(ctx, sku)
			if errors.Is(err, stock.ErrUnknownProduct) {
				return p, false, nil
			}
			return p, err == nil, err
		},
		Stale: cfg.Stale,
	})
	if err != nil {
		return nil, fmt.Errorf("products cache: %w", err)
	}
	return &Products{cache: c}, nil
}

// Product reads a product, and tells the client of the call how old the answer is.
// It fails with stock.ErrUnknownProduct.
func (p *Products) Product(ctx context.Context, sku string) (stock.Product, error) {
	answer, err := p.cache.Get(ctx, sku)
	if err == nil && !answer.Found {
		err = stock.ErrUnknownProduct
	}
	if err != nil {
		return stock.Product{}, fmt.Errorf("product %q: %w", sku, err)
	}
	if answer.Cached {
		edge.FromCache(ctx, "inventory", answer.Age, answer.Stale)
	}
	return answer.Value, nil
}

// Changed forgets products whose change is committed. It goes on when the caller
// gives up, because the commit is not undone by that.
func (p *Products) Changed(ctx context.Context, products []stock.Product) {
	changes := make([]cache.Change[string], len(products))
	for i, product := range products {
		changes[i] = cache.Change[string]{Key: product.SKU, Version: product.Version}
	}
	p.cache.Invalidate(context.WithoutCancel(ctx), changes...)
}

// Announced is for the feed of inventory.products: it forgets what another process
// has changed, or one that died before it could.
func (p *Products) Announced(ctx context.Context, batch []message.Message) {
	changes := make([]cache.Change[string], len(batch))
	for i, m := range batch {
		changes[i] = cache.Change[string]{Key: string(m.Key), Version: m.Version}
	}
	p.cache.Invalidate(ctx, changes...)
}
