package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/ballast/pkg/lease"
	"example.com/ballast/services/payments/internal/payment"
)

// ReconcileLease is the lease of who compares the books.
const ReconcileLease = "reconcile"

const (
	sqlSuspects = `select order_id, intent_id from suspects order by found_at limit @limit`
	sqlCompared = `select until_time from comparison`
)

// Suspects reads what earlier comparisons have left, the oldest first, and up to
// when the books have been compared.
func (s *Store) Suspects(ctx context.Context, limit int) (suspects []payment.Suspect, until time.Time, err error) {
	b := &pgx.Batch{}
	b.Queue(sqlSuspects, pgx.StrictNamedArgs{"limit": limit}).Query(func(rows pgx.Rows) error {
		suspects, err = pgx.CollectRows(rows, pgx.RowToStructByPos[payment.Suspect])
		return err
	})
	b.Queue(sqlCompared).QueryRow(func(row pgx.Row) error { return row.Scan(&until) })
	if err := s.pool.SendBatch(ctx, b).Close(); err != nil {
		return nil, time.Time{}, fmt.Errorf("read suspects: %w", err)
	}
	return suspects, until, nil
}

const (
	sqlSuspect = `
		insert into suspects (order_id, intent_id) select * from unnest(@orders::text[], @intents::text[])
		on conflict do nothing`
	sqlClear = `
		delete from suspects s using unnest(@orders::text[], @intents::text[]) as c (order_id, intent_id)
		where s.order_id = c.order_id and s.intent_id = c.intent_id`
	sqlCompare = `update comparison set until_time = @until`
)

// Suspect adds to what the next comparison looks at.
func (s *Store) Suspect(ctx context.Context, found []payment.Suspect) error {
	b := &pgx.Batch{}
	b.Queue(sqlSuspect, suspectArgs(found))
	if err := s.pool.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("store suspects: %w", err)
	}
	return nil
}

// Compared stores that the books have been compared up to a moment, with what
// was found and what is settled. It fails, with an error that lease.Stale knows,
// when another process has come to lead since epoch: the latter may know better.
func (s *Store) Compared(ctx context.Context, epoch int64, until time.Time, found, settled []payment.Suspect) error {
	b := &pgx.Batch{}
	lease.Fence(b, ReconcileLease, epoch)
	b.Queue(sqlSuspect, suspectArgs(found))
	b.Queue(sqlClear, suspectArgs(settled))
	b.Queue(sqlCompare, pgx.StrictNamedArgs{"until": until})
	if err := s.pool.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("store the comparison: %w", err)
	}
	return nil
}

func suspectArgs(suspects []payment.Suspect) pgx.StrictNamedArgs {
	orders, intents := make([]string, len(suspects)), make([]string, len(suspects))
	for i, s := range suspects {
		orders[i], intents[i] = s.OrderID, s.IntentID
	}
	return pgx.StrictNamedArgs{"orders": orders, "intents": intents}
}
