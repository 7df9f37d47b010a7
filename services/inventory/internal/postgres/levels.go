package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/ballast/pkg/pg"
	"example.com/ballast/services/inventory/internal/stock"
)

// receiveStock does nothing when the receipt is known: its second part then has
// no row to join. A concurrent call with the same receipt waits here for the
// first. SKUs are locked in order, as everywhere.
const receiveStock = `
WITH receipt AS (
    INSERT INTO receipts (receipt_id, skus, quantities)
    VALUES (@receipt_id, @skus::text[], @quantities::integer[])
    ON CONFLICT (receipt_id) DO NOTHING
    RETURNING receipt_id
)
INSERT INTO stock AS s (sku, on_hand)
SELECT u.sku, u.quantity
FROM receipt, unnest(@skus::text[], @quantities::integer[]) AS u(sku, quantity)
ORDER BY u.sku COLLATE "C"
ON CONFLICT (sku) DO UPDATE SET on_hand = s.on_hand + excluded.on_hand`

const getReceipt = `SELECT skus, quantities FROM receipts WHERE receipt_id = $1`

const unknownSKUs = `
SELECT u.sku FROM unnest($1::text[]) AS u(sku)
WHERE NOT EXISTS (SELECT FROM products AS p WHERE p.sku = u.sku)`

// Receive adds a delivery, whose lines are folded, to the shelves. It returns
// false when the receipt is known. It fails with stock.ErrReceiptReused when the
// known receipt has other lines, and with stock.UnknownSKUs.
func (s *Store) Receive(ctx context.Context, receiptID string, delivered []stock.Line) (bool, error) {
	skus, quantities := columns(delivered)
	tag, err := s.pool.Exec(ctx, receiveStock, pgx.StrictNamedArgs{
		"receipt_id": receiptID, "skus": skus, "quantities": quantities,
	})
	switch {
	case pg.Constraint(err) == "stock_product_known":
		return false, s.explainUnknown(ctx, skus)
	case err != nil:
		return false, fmt.Errorf("receive stock: %w", err)
	case tag.RowsAffected() > 0:
		return true, nil
	}
	var knownSKUs []string
	var knownQuantities []int32
	if err := s.pool.QueryRow(ctx, getReceipt, receiptID).Scan(&knownSKUs, &knownQuantities); err != nil {
		return false, fmt.Errorf("read receipt %q: %w", receiptID, err)
	}
	if !slices.Equal(skus, knownSKUs) || !slices.Equal(quantities, knownQuantities) {
		return false, stock.ErrReceiptReused
	}
	return false, nil
}

func (s *Store) explainUnknown(ctx context.Context, skus []string) error {
	rows, err := s.pool.Query(ctx, unknownSKUs, skus)
	if err != nil {
		return fmt.Errorf("look for unknown SKUs: %w", err)
	}
	unknown, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("look for unknown SKUs: %w", err)
	}
	return stock.UnknownSKUs(unknown)
}

// listLevels sums the journal for a page of SKUs, in one snapshot with the
// columns that the sums must equal. It reads all shipments of all time: a page
// costs as much as the catalogue, so ask for large ones. This is the price of a
// proof that shares nothing with what it proves.
const listLevels = `
WITH page AS (
    SELECT sku, on_hand, reserved FROM stock
    WHERE sku > @after ORDER BY sku LIMIT @limit
), received AS ( -- What came in.
    SELECT l.sku COLLATE "C" AS sku, sum(l.quantity) AS units
    FROM receipts AS r, unnest(r.skus, r.quantities) AS l(sku, quantity)
    GROUP BY 1
), shipped AS ( -- What went out, less what came back.
    SELECT l.sku COLLATE "C" AS sku, sum(CASE m.kind WHEN 'ship' THEN l.quantity ELSE -l.quantity END) AS units
    FROM movements AS m, unnest(m.skus, m.quantities) AS l(sku, quantity)
    WHERE m.kind IN ('ship', 'unship')
    GROUP BY 1
)
SELECT sku, on_hand, reserved, coalesce(received.units, 0)::bigint, coalesce(shipped.units, 0)::bigint
FROM page LEFT JOIN received USING (sku) LEFT JOIN shipped USING (sku)
ORDER BY sku`

// Levels reads a page of levels: those after a SKU, by SKU.
func (s *Store) Levels(ctx context.Context, after string, limit int) ([]stock.Level, error) {
	rows, err := s.pool.Query(ctx, listLevels, pgx.StrictNamedArgs{"after": after, "limit": limit})
	if err != nil {
		return nil, fmt.Errorf("list stock: %w", err)
	}
	page, err := pgx.CollectRows(rows, pgx.RowToStructByPos[stock.Level])
	if err != nil {
		return nil, fmt.Errorf("list stock: %w", err)
	}
	return page, nil
}

const listReservations = `
SELECT order_id, version, status, status_version,
       shipment_status, shipment_version, shipment_reason, shipment_detail,
       skus, quantities, shortages, updated_at
FROM reservations WHERE order_id > $1
ORDER BY order_id LIMIT $2`

// Reservations reads a page of reservations: those after an order, by order id.
func (s *Store) Reservations(ctx context.Context, after stock.OrderID, limit int) ([]stock.Reservation, []time.Time, error) {
	rows, err := s.pool.Query(ctx, listReservations, [16]byte(after), limit)
	if err != nil {
		return nil, nil, fmt.Errorf("list reservations: %w", err)
	}
	var page []stock.Reservation
	var updated []time.Time
	for rows.Next() {
		var at time.Time
		r, err := scanReservation(rows, &at)
		if err != nil {
			return nil, nil, fmt.Errorf("list reservations: %w", err)
		}
		page, updated = append(page, r), append(updated, at)
	}
	if err := rows.Err(); err != nil {
		return nil, nil, fmt.Errorf("list reservations: %w", err)
	}
	return page, updated, nil
}
