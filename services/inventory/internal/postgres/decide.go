package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/outbox"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/services/inventory/internal/stock"
)

// Announce makes the messages that tell of the answers, given in the order of the
// commands.
type Announce = func([]stock.Answer) ([]message.Message, error)

// Apply decides a batch of commands and writes the outcome and the messages that
// announce it in one transaction. The messages are made of the answers, which
// come in the order of the commands.
//
// It reads and writes in one round trip each. The write aborts when another member
// took the units meanwhile; then the batch locks its SKUs, reads what is left and
// decides on that. When another member changed one of the orders meanwhile, which
// happens around a rebalance only, it reads and decides again.
func (s *Store) Apply(ctx context.Context, commands []stock.Command, announce Announce) error {
	return pg.Retry(ctx, func(ctx context.Context) error { return s.applyOnce(ctx, commands, announce) })
}

func (s *Store) applyOnce(ctx context.Context, commands []stock.Command, announce Announce) error {
	view, err := s.read(ctx, commands)
	if err != nil {
		return fmt.Errorf("read the batch: %w", err)
	}
	err = s.write(ctx, s.pool, s.decider.Decide(view, commands), announce)
	if isShort(err) {
		err = s.applyLocked(ctx, view, commands, announce)
	}
	if err != nil {
		return err
	}
	s.signal()
	return nil
}

// applyLocked is the slow path: while it holds the SKUs nobody else can take them.
func (s *Store) applyLocked(ctx context.Context, view stock.View, commands []stock.Command, announce Announce) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, lockAvailable, stock.SKUs(view, commands))
		if err != nil {
			return fmt.Errorf("lock the SKUs: %w", err)
		}
		if view.Available, err = collectAvailable(rows); err != nil {
			return fmt.Errorf("lock the SKUs: %w", err)
		}
		return s.write(ctx, tx, s.decider.Decide(view, commands), announce)
	})
}

// What a batch needs is read key by key: with "= ANY" the plan that was cached
// when a table was empty scans all of it once it has grown, until somebody
// analyzes it. LATERAL leaves the planner nothing but the index.

// readReservations reads by the primary key; most orders of a batch have none yet.
const readReservations = `
SELECT r.*
FROM unnest($1::uuid[]) AS u(order_id) CROSS JOIN LATERAL (
    SELECT order_id, version, status, status_version,
           shipment_status, shipment_version, shipment_reason, shipment_detail,
           skus, quantities, shortages
    FROM reservations WHERE order_id = u.order_id OFFSET 0
) AS r`

// readAvailable takes no locks: what it returns is a guess that the CHECKs of
// stock verify when the outcome is written.
const readAvailable = `
SELECT s.*
FROM unnest($1::text[]) AS u(sku) CROSS JOIN LATERAL (
    SELECT sku, on_hand - reserved FROM stock WHERE sku = u.sku OFFSET 0
) AS s`

// lockAvailable locks in the order of its argument, which comes sorted: taking the
// locks in one order is what keeps two members with overlapping SKUs out of a
// deadlock. UPDATE alone would lock in the order of its plan.
const lockAvailable = `
SELECT s.*
FROM unnest($1::text[]) AS u(sku) CROSS JOIN LATERAL (
    SELECT sku, on_hand - reserved FROM stock WHERE sku = u.sku FOR NO KEY UPDATE
) AS s`

func (s *Store) read(ctx context.Context, commands []stock.Command) (stock.View, error) {
	view := stock.View{Reservations: make(map[stock.OrderID]stock.Reservation)}
	ids := make([][16]byte, len(commands))
	for i, c := range commands {
		ids[i] = c.OrderID
	}
	b := &pgx.Batch{}
	b.Queue(readReservations, ids).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			r, err := scanReservation(rows)
			if err != nil {
				return err
			}
			view.Reservations[r.OrderID] = r
		}
		return rows.Err()
	})
	if skus := stock.SKUs(view, commands); len(skus) > 0 {
		b.Queue(readAvailable, skus).Query(func(rows pgx.Rows) (err error) {
			view.Available, err = collectAvailable(rows)
			return err
		})
	}
	return view, s.pool.SendBatch(ctx, b).Close()
}

func scanReservation(rows pgx.Rows, more ...any) (stock.Reservation, error) {
	var r stock.Reservation
	var skus []string
	var quantities []int32
	err := rows.Scan(append([]any{
		(*[16]byte)(&r.OrderID), &r.Version, &r.Status, &r.StatusVersion,
		&r.Shipment.Status, &r.Shipment.Version, &r.Shipment.Reason, &r.Shipment.Detail,
		&skus, &quantities, &r.Shortages,
	}, more...)...)
	r.Lines = lines(skus, quantities)
	return r, err
}

func collectAvailable(rows pgx.Rows) (map[string]int64, error) {
	available := make(map[string]int64)
	var sku string
	var units int64
	_, err := pgx.ForEachRow(rows, []any{&sku, &units}, func() error {
		available[sku] = units
		return nil
	})
	return available, err
}

// upsertReservations inserts in the order of the ids, which come sorted. Its guard
// is explained at the table.
const upsertReservations = `
INSERT INTO reservations AS r
       (order_id, version, previous, status, status_version,
        shipment_status, shipment_version, shipment_reason, shipment_detail,
        skus, quantities, shortages)
SELECT u.order_id, u.version, u.previous, u.status, u.status_version,
       u.shipment_status, u.shipment_version, u.shipment_reason, u.shipment_detail,
       u.skus::text[], u.quantities::integer[], u.shortages::jsonb
FROM unnest(@order_ids::uuid[], @versions::bigint[], @previous::bigint[],
            @statuses::text[], @status_versions::bigint[],
            @shipment_statuses::text[], @shipment_versions::bigint[],
            @shipment_reasons::text[], @shipment_details::text[],
            @skus::text[], @quantities::text[], @shortages::text[])
     AS u(order_id, version, previous, status, status_version,
          shipment_status, shipment_version, shipment_reason, shipment_detail,
          skus, quantities, shortages)
ON CONFLICT (order_id) DO UPDATE SET
    version = CASE WHEN r.version = excluded.previous THEN excluded.version ELSE 0 END,
    previous = excluded.previous,
    status = excluded.status,
    status_version = excluded.status_version,
    shipment_status = excluded.shipment_status,
    shipment_version = excluded.shipment_version,
    shipment_reason = excluded.shipment_reason,
    shipment_detail = excluded.shipment_detail,
    skus = excluded.skus,
    quantities = excluded.quantities,
    shortages = excluded.shortages,
    updated_at = excluded.updated_at`

const insertMovements = `
INSERT INTO movements (order_id, kind, skus, quantities)
SELECT u.order_id, u.kind, u.skus::text[], u.quantities::integer[]
FROM unnest(@order_ids::uuid[], @kinds::text[], @skus::text[], @quantities::text[])
     AS u(order_id, kind, skus, quantities)`

// moveStock applies one delta per SKU; the CHECKs of the table abort the batch.
const moveStock = `
UPDATE stock AS s
SET on_hand = s.on_hand + d.on_hand, reserved = s.reserved + d.reserved
FROM unnest(@skus::text[], @on_hand::bigint[], @reserved::bigint[]) AS d(sku, on_hand, reserved)
WHERE s.sku = d.sku`

// sender is a pool, where a batch is a transaction of its own, or a transaction.
type sender interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// write stores an outcome in one round trip. The order of its statements is the
// order of the locks: SKUs, then orders. The outbox comes last, so that its
// identities rise with the versions of an order.
func (s *Store) write(ctx context.Context, to sender, outcome stock.Outcome, announce Announce) error {
	msgs, err := announce(outcome.Answers)
	if err != nil {
		return err
	}
	b := &pgx.Batch{}
	deltas := deltaArgs(outcome.Deltas)
	if len(outcome.Deltas) > 0 {
		b.Queue(lockAvailable, deltas["skus"])
	}
	if len(outcome.Changed) > 0 {
		args, err := reservationArgs(outcome.Changed)
		if err != nil {
			return err
		}
		b.Queue(upsertReservations, args)
	}
	if len(outcome.Movements) > 0 {
		b.Queue(insertMovements, movementArgs(outcome.Movements))
	}
	if len(outcome.Deltas) > 0 {
		b.Queue(moveStock, deltas)
	}
	outbox.Queue(ctx, b, msgs)
	if err := to.SendBatch(ctx, b).Close(); err != nil {
		switch name := pg.Constraint(err); name {
		case "reservations_version", "movements_pkey":
			return fmt.Errorf("%w: %s", pg.ErrConflict, name)
		}
		return fmt.Errorf("write the batch: %w", err)
	}
	return nil
}

// isShort tells whether the units that a batch counted on were taken meanwhile.
func isShort(err error) bool {
	return pg.Constraint(err) == "stock_reserved_within_on_hand"
}
