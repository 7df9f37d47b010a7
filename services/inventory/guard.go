package main

import (
	"context"
	"time"

	"example.com/ballast/pkg/resilience"
	"example.com/ballast/services/inventory/internal/postgres"
	"example.com/ballast/services/inventory/internal/stock"
)

// guarded is the store as people call it: on connections and behind a guard of
// their own.
type guarded struct {
	store *postgres.Store
	guard *resilience.Guard
}

func (g guarded) Product(ctx context.Context, sku string) (stock.Product, error) {
	return resilience.Wrap(g.guard, g.store.Product)(ctx, sku)
}

func (g guarded) Products(ctx context.Context, after string, limit int) ([]stock.Product, error) {
	return resilience.Do(ctx, g.guard, func(ctx context.Context) ([]stock.Product, error) {
		return g.store.Products(ctx, after, limit)
	})
}

func (g guarded) UpsertProducts(ctx context.Context, products []stock.Product) ([]stock.Product, error) {
	return resilience.Wrap(g.guard, g.store.UpsertProducts)(ctx, products)
}

func (g guarded) Receive(ctx context.Context, receiptID string, lines []stock.Line) (bool, error) {
	return resilience.Do(ctx, g.guard, func(ctx context.Context) (bool, error) {
		return g.store.Receive(ctx, receiptID, lines)
	})
}

func (g guarded) Levels(ctx context.Context, after string, limit int) ([]stock.Level, error) {
	return resilience.Do(ctx, g.guard, func(ctx context.Context) ([]stock.Level, error) {
		return g.store.Levels(ctx, after, limit)
	})
}

func (g guarded) Reservations(ctx context.Context, after stock.OrderID, limit int) (list []stock.Reservation, at []time.Time, err error) {
	err = resilience.Run(ctx, g.guard, func(ctx context.Context) error {
		list, at, err = g.store.Reservations(ctx, after, limit)
		return err
	})
	return list, at, err
}
