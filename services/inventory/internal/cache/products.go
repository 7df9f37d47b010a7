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

	"github.com/redis/go-redis/v9"

	"example.com/ballast/pkg/cache"
	"example.com/ballast/services/inventory/internal/stock"
)

// Products is the cache-aside view of products by SKU.
type Products struct {
	cache *cache.Cache[string, stock.Product]
}

// NewProducts returns a cache in front of load, which fails with
// stock.ErrUnknownProduct where there is none.
func NewProducts(client redis.UniversalClient, logger *slog.Logger, load func(context.Context, string) (stock.Product, error)) (*Products, error) {
	c, err := cache.New(cache.Config[string, stock.Product]{
		Name:    "product",
		Client:  client,
		Logger:  logger,
		Key:     func(sku string) string { return sku },
		Encode:  func(p stock.Product) ([]byte, error) { return json.Marshal(p) },
		Decode:  func(b []byte) (p stock.Product, err error) { return p, json.Unmarshal(b, &p) },
		Version: func(p stock.Product) int64 { return p.Version },
		Load: func(ctx context.Context, sku string) (stock.Product, bool, error) {
			p, err := load(ctx, sku)
			if errors.Is(err, stock.ErrUnknownProduct) {
				return p, false, nil
			}
			return p, err == nil, err
		},
	})
	if err != nil {
		return nil, fmt.Errorf("products cache: %w", err)
	}
	return &Products{cache: c}, nil
}

// Product reads a product. It fails with stock.ErrUnknownProduct.
func (p *Products) Product(ctx context.Context, sku string) (stock.Product, error) {
	product, found, err := p.cache.Get(ctx, sku)
	if err == nil && !found {
		err = stock.ErrUnknownProduct
	}
	if err != nil {
		return stock.Product{}, fmt.Errorf("product %q: %w", sku, err)
	}
	return product, nil
}

// Changed forgets products whose change is committed. It goes on when the caller
// gives up, because the commit is not undone by that.
func (p *Products) Changed(ctx context.Context, products []stock.Product) {
	ctx = context.WithoutCancel(ctx)
	for _, product := range products {
		p.cache.Invalidate(ctx, product.SKU, product.Version)
	}
}
