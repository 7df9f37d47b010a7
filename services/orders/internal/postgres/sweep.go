package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"example.com/ballast/pkg/ids"
	"example.com/ballast/services/orders/internal/order"
)

// awaits is State.Awaits in SQL: the step whose answer, or undoing, is waited for.
const awaits = `CASE WHEN status <> 5 THEN status WHEN undo & 8 <> 0 THEN 3 WHEN undo & 4 <> 0 THEN 2 ELSE 1 END`

const selectOverdue = `
SELECT DISTINCT ` + awaits + ` FROM orders WHERE open AND deadline < @now`

// Overdue orders are locked against other sweepers, which skip them. Other
// writers wait, for the few milliseconds of one sweep.
const claimOverdue = selectState + `
WHERE open AND deadline < @now AND ` + awaits + ` = ANY(@steps::smallint[])
ORDER BY order_id LIMIT @count FOR UPDATE SKIP LOCKED`

const selectFirstEvents = `
SELECT order_id, version, type, data, occurred_at FROM order_events WHERE order_id = ANY(@order_ids::uuid[]) AND version = 1`

// Overdue tells which steps an order has waited for too long.
func (s *Store) Overdue(ctx context.Context) ([]order.Step, error) {
	rows, err := s.Pool.Query(ctx, selectOverdue, pgx.StrictNamedArgs{"now": s.now()})
	if err != nil {
		return nil, fmt.Errorf("look for overdue orders: %w", err)
	}
	steps, err := pgx.CollectRows(rows, pgx.RowTo[order.Step])
	if err != nil {
		return nil, fmt.Errorf("look for overdue orders: %w", err)
	}
	return steps, nil
}

// Sweep looks at up to count orders that wait for one of the steps and whose
// deadline has passed, and re-sends, compensates or calls an operator, as the
// domain decides. It returns how many orders it changed; fewer than count means
// that no more are due.
func (s *Store) Sweep(ctx context.Context, count int, steps []order.Step) (int, error) {
	numbers := make([]int16, len(steps))
	for i, step := range steps {
		numbers[i] = int16(step)
	}
	var changes []*change
	err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		at := s.now()
		rows, err := tx.Query(ctx, claimOverdue, pgx.StrictNamedArgs{"now": at, "count": count, "steps": numbers})
		if err != nil {
			return err
		}
		states, err := pgx.CollectRows(rows, scanState)
		if err != nil {
			return err
		}
		if err := s.addLines(ctx, tx, states); err != nil {
			return err
		}
		for _, state := range states {
			c := &change{Change: order.Change{Before: state, After: state, Trace: state.Trace}}
			events, commands, err := order.Decide(state, order.DeadlinePassed{}, at, s.Policy)
			if err != nil {
				return err
			}
			c.record(events, commands, at)
			changes = append(changes, c)
		}
		changes = withEvents(changes)
		return s.update(ctx, tx, changes, at)
	})
	if err != nil {
		return 0, fmt.Errorf("sweep overdue orders: %w", err)
	}
	s.committed(ctx, changes)
	return len(changes), nil
}

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// addLines reads the lines of the orders that wait for stock: they are what a
// re-sent ReserveStock carries.
func (s *Store) addLines(ctx context.Context, db querier, states []order.State) error {
	at := make(map[ids.ID]int)
	var list uuids
	for i, state := range states {
		if state.Status == order.Placed {
			at[state.ID] = i
			list = append(list, state.ID)
		}
	}
	if len(list) == 0 {
		return nil
	}
	rows, err := db.Query(ctx, selectFirstEvents, pgx.StrictNamedArgs{"order_ids": list})
	if err != nil {
		return err
	}
	var r storedEvent
	_, err = pgx.ForEachRow(rows, []any{&r.order, &r.version, &r.typ, &r.data, &r.at}, func() error {
		recorded, err := r.decode(s.Codec)
		if err != nil {
			return err
		}
		states[at[r.order]].Lines = order.Evolve(order.State{}, recorded).Lines
		return nil
	})
	return err
}
