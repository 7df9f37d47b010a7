package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/services/orders/internal/order"
)

// Tell lets the domain decide about each fact, in order, and stores what
// follows in one transaction. The verdicts belong to the facts by index; an
// error is the whole batch's, and then nothing was written.
func (s *Store) Tell(ctx context.Context, told []order.Told) (verdicts []order.Verdict, err error) {
	var changes []*change
	err = pg.Retry(ctx, func(ctx context.Context) error {
		states, err := s.states(ctx, told)
		if err != nil {
			return err
		}
		var at time.Time
		verdicts, changes, at = s.decide(told, states)
		return s.update(ctx, s.Pool, changes, at)
	})
	if err != nil {
		return nil, fmt.Errorf("tell orders %d facts: %w", len(told), err)
	}
	s.committed(ctx, changes)
	return verdicts, nil
}

// decide folds several facts about one order into one change. What a call of a
// person leads to belongs to the order's trace, unless the call's own is recorded.
func (s *Store) decide(told []order.Told, states map[ids.ID]order.State) ([]order.Verdict, []*change, time.Time) {
	at := s.now()
	verdicts := make([]order.Verdict, len(told))
	changes := make([]*change, 0, len(told))
	byOrder := make(map[ids.ID]*change, len(told))
	for i, t := range told {
		c := byOrder[t.Order]
		if c == nil {
			state, known := states[t.Order]
			if !known {
				verdicts[i].Err = order.ErrNotFound
				continue
			}
			c = &change{Change: order.Change{Before: state, After: state, Trace: cmp.Or(recorded(t.Trace), state.Trace, t.Trace)}}
			byOrder[t.Order] = c
			changes = append(changes, c)
		}
		if t.OnlyAt != 0 && t.OnlyAt != c.After.Version {
			verdicts[i] = order.Verdict{State: c.After, Err: order.ErrVersionChanged}
			continue
		}
		events, commands, err := order.Decide(c.After, t.Fact, at, s.Policy)
		c.record(events, commands, at)
		verdicts[i] = order.Verdict{State: c.After, Err: err}
	}
	return verdicts, withEvents(changes), at
}

const selectState = `
SELECT order_id, customer_id, idempotency_key, request_hash, status, version, currency, total_minor, country, undo,
    seen_reserve, seen_charge, seen_ship, resends, since, deadline, reason, detail, created_at, updated_at, trace
FROM orders`

const selectStates = selectState + ` WHERE order_id = ANY(@order_ids::uuid[])`

func (s *Store) states(ctx context.Context, told []order.Told) (map[ids.ID]order.State, error) {
	list := make(uuids, 0, len(told))
	for _, t := range told {
		list = append(list, t.Order)
	}
	rows, err := s.Pool.Query(ctx, selectStates, pgx.StrictNamedArgs{"order_ids": list})
	if err != nil {
		return nil, fmt.Errorf("read %d orders: %w", len(list), err)
	}
	states, err := pgx.CollectRows(rows, scanState)
	if err != nil {
		return nil, fmt.Errorf("read %d orders: %w", len(list), err)
	}
	// The one fact on which a command with the lines may be sent again.
	if slices.ContainsFunc(told, func(t order.Told) bool { _, is := t.Fact.(order.Resume); return is }) {
		if err := s.addLines(ctx, s.Pool, states); err != nil {
			return nil, fmt.Errorf("read the lines of orders: %w", err)
		}
	}
	byID := make(map[ids.ID]order.State, len(states))
	for _, state := range states {
		byID[state.ID] = state
	}
	return byID, nil
}

func scanState(row pgx.CollectableRow) (order.State, error) {
	var s order.State
	var deadline *time.Time
	err := row.Scan(&s.ID, &s.Customer, &s.Key, &s.RequestHash, &s.Status, &s.Version, &s.Total.Currency, &s.Total.Minor,
		&s.Country, &s.Undo, &s.Seen[order.Reserve], &s.Seen[order.Charge], &s.Seen[order.Ship], &s.Resends, &s.Since, &deadline,
		&s.Reason, &s.Detail, &s.CreatedAt, &s.UpdatedAt, &s.Trace)
	if deadline != nil {
		s.Deadline = deadline.UTC()
	}
	s.Since, s.CreatedAt, s.UpdatedAt = s.Since.UTC(), s.CreatedAt.UTC(), s.UpdatedAt.UTC()
	return s, err
}
