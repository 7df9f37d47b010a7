// Package cache keeps orders, as their customers see them, in this service's own
// Redis. It answers GetOrder and nothing else: what is decided about an order is
// decided on the database.
//
// A recipient's name and address are part of what is kept: in memory only, for less
// than twelve minutes.
package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"example.com/ballast/pkg/cache"
	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/message"
	"example.com/ballast/services/orders/internal/order"
)

// An order changes five times within a second and then hardly ever: what was read
// is fresh until an event says otherwise, and a short time is the backstop.
const (
	freshFor = time.Minute
	ageing   = 10 * time.Second
	staleFor = 10 * time.Minute
)

// Name is what the keys begin with.
const Name = "order"

// Orders is the cache-aside view of orders by id.
type Orders struct {
	cache *cache.Cache[ids.ID, order.View]
}

// Config of Orders; every field is needed.
type Config struct {
	Redis  *cache.Redis
	Logger *slog.Logger
	// Load reads the database and fails with order.ErrNotFound where there is none.
	Load func(context.Context, ids.ID) (order.View, error)
	// Stale allows answers that are not fresh, by order.
	Stale func(context.Context, ids.ID) bool
}

// New returns a cache in front of the database.
func New(cfg Config) (*Orders, error) {
	c, err := cache.New(cache.Config[ids.ID, order.View]{
		Name:    Name,
		Redis:   cfg.Redis,
		Logger:  cfg.Logger,
		Key:     ids.ID.String,
		Encode:  func(v order.View) ([]byte, error) { return json.Marshal(v) },
		Decode:  func(b []byte) (v order.View, err error) { return v, json.Unmarshal(b, &v) },
		Version: func(v order.View) int64 { return v.Version },
		Load: func(ctx context.Context, id ids.ID) (order.View, bool, error) {
			v, err := cfg.Load(ctx, id)
			if errors.Is(err, order.ErrNotFound) {
				return v, false, nil
			}
			return v, err == nil, err
		},
		Stale: cfg.Stale,
		TTL:   freshFor, Revalidate: ageing, StaleFor: staleFor,
	})
	if err != nil {
		return nil, fmt.Errorf("orders cache: %w", err)
	}
	return &Orders{cache: c}, nil
}

// Get reads an order, and tells the client of the call how old the answer is. It
// fails with order.ErrNotFound. Whose order it is remains the caller's to check.
func (o *Orders) Get(ctx context.Context, id ids.ID) (order.View, error) {
	answer, err := o.cache.Get(ctx, id)
	if err == nil && !answer.Found {
		err = order.ErrNotFound
	}
	if err != nil {
		return order.View{}, fmt.Errorf("order %s: %w", id, err)
	}
	if answer.Cached {
		edge.FromCache(ctx, "orders", answer.Age, answer.Stale)
	}
	return answer.Value, nil
}

// Happened is for the feed of orders.events: it forgets the orders that changed,
// once each, however often they did.
func (o *Orders) Happened(ctx context.Context, batch []message.Message) {
	newest := make(map[ids.ID]int64, len(batch))
	for _, m := range batch {
		if id, err := ids.Parse(string(m.Key)); err == nil {
			newest[id] = max(newest[id], m.Version)
		}
	}
	changes := make([]cache.Change[ids.ID], 0, len(newest))
	for id, version := range newest {
		changes = append(changes, cache.Change[ids.ID]{Key: id, Version: version})
	}
	o.cache.Invalidate(ctx, changes...)
}

// Telling makes tell forget the orders that it has changed: a customer who has
// cancelled, and looks, must not see the order as it was.
func (o *Orders) Telling(tell func(context.Context, []order.Told) ([]order.Verdict, error)) func(context.Context, []order.Told) ([]order.Verdict, error) {
	return func(ctx context.Context, told []order.Told) ([]order.Verdict, error) {
		verdicts, err := tell(ctx, told)
		var changes []cache.Change[ids.ID]
		for _, v := range verdicts {
			if v.Err == nil {
				changes = append(changes, cache.Change[ids.ID]{Key: v.State.ID, Version: v.State.Version})
			}
		}
		// The commit is not undone when the caller gives up.
		o.cache.Invalidate(context.WithoutCancel(ctx), changes...)
		return verdicts, err
	}
}
