package main

import (
	"context"
	"fmt"

	"example.com/ballast/pkg/batch"
	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/outbox"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/resilience"
	"example.com/ballast/services/orders/internal/cache"
	"example.com/ballast/services/orders/internal/order"
	"example.com/ballast/services/orders/internal/postgres"
	"example.com/ballast/services/orders/internal/rpc"
)

type (
	place       func(context.Context, order.Placement) (order.State, error)
	subscribeTo func(context.Context, ids.ID) (rpc.Updates, error)
)

// guarded is what people call, behind the guard of their own pool. Place comes
// guarded: it is its batches that go through.
func guarded(guard *resilience.Guard, store *postgres.Store, reads *cache.Orders, place place, subscribe subscribeTo) rpc.Orders {
	return rpc.Orders{
		Place: place,
		Get:   resilience.Wrap(guard, store.Get),
		Read:  reads.Get,
		List: func(ctx context.Context, filter order.Filter, before ids.ID, count int) ([]order.View, error) {
			return resilience.Do(ctx, guard, func(ctx context.Context) ([]order.View, error) {
				return store.List(ctx, filter, before, count)
			})
		},
		History:   resilience.Wrap(guard, store.History),
		Tell:      reads.Telling(resilience.Wrap(guard, store.Tell)),
		Subscribe: subscribe,
	}
}

// placeThrough sends the batches of the intake through the guard. An error of
// the database is that of every order of its batch.
func placeThrough(guard *resilience.Guard, place batch.Flush[order.Placement, order.State]) batch.Flush[order.Placement, order.State] {
	type results = []batch.Result[order.State]
	return func(ctx context.Context, placements []order.Placement) results {
		got, err := resilience.Do(ctx, guard, func(ctx context.Context) (results, error) {
			got := place(ctx, placements)
			if pg.Away(got[0].Err) {
				return nil, got[0].Err
			}
			return got, nil
		})
		if err != nil {
			got = make(results, len(placements))
			for i := range got {
				got[i].Err = err
			}
		}
		return got
	}
}

// underCap takes orders while Kafka is away, until the outbox holds as much as it
// may: what is promised must still be deliverable in a time that can be named.
func underCap(cfg Config, stats func() outbox.Stats, place place) place {
	return func(ctx context.Context, p order.Placement) (order.State, error) {
		if s := stats(); s.Depth >= cfg.OutboxMaxRows || s.Age >= cfg.OutboxMaxAge {
			return order.State{}, fmt.Errorf("the outbox holds %d rows, the oldest for %s: %w", s.Depth, s.Age, batch.ErrFull)
		}
		return place(ctx, p)
	}
}
