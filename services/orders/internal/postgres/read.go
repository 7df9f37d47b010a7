package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/ballast/pkg/ids"
	"example.com/ballast/services/orders/internal/order"
)

// storedEvent is a row of order_events.
type storedEvent struct {
	order   ids.ID
	version int64
	typ     string
	data    []byte
	at      time.Time
}

func (r storedEvent) decode(codec Codec) (order.Recorded, error) {
	event, err := codec.Stored(r.typ, r.data)
	if err != nil {
		return order.Recorded{}, fmt.Errorf("order %s, version %d: %w", r.order, r.version, err)
	}
	return order.Recorded{Order: r.order, Version: r.version, At: r.at.UTC(), Event: event}, nil
}

// The lines live in the first event alone; the recipient in a row of its own.
const selectViews = `
SELECT o.order_id, o.status, o.version, o.undo, o.resends, o.since, o.deadline, o.reason, o.detail, o.updated_at,
    e.type, e.data, e.occurred_at, r.address
FROM orders o
JOIN order_events e ON e.order_id = o.order_id AND e.version = 1
LEFT JOIN order_recipients r ON r.order_id = o.order_id`

const selectView = selectViews + ` WHERE o.order_id = @order_id`

// pageQuery pages by id, newest first: UUIDv7 rise with time. Each filter has a
// statement of its own, so that each has the plan of its index.
func pageQuery(f order.Filter) string {
	query := selectViews + ` WHERE o.order_id < @before`
	if f.Customer != "" {
		query += ` AND o.customer_id = @customer`
	}
	switch {
	case f.Status == order.NeedsOperator:
		query += ` AND o.needs_operator`
	case f.Status.Open():
		query += ` AND o.open`
	}
	if f.Status != 0 {
		query += ` AND o.status = @status`
	}
	return query + ` ORDER BY o.order_id DESC LIMIT @count`
}

// Get reads one order, or order.ErrNotFound.
func (s *Store) Get(ctx context.Context, id ids.ID) (order.View, error) {
	views, err := s.views(ctx, selectView, pgx.StrictNamedArgs{"order_id": id})
	if err != nil {
		return order.View{}, fmt.Errorf("read order %s: %w", id, err)
	}
	if len(views) == 0 {
		return order.View{}, order.ErrNotFound
	}
	return views[0], nil
}

// List reads up to count orders that pass the filter, with ids below before,
// newest first.
func (s *Store) List(ctx context.Context, f order.Filter, before ids.ID, count int) ([]order.View, error) {
	args := pgx.StrictNamedArgs{"before": before, "count": count}
	if f.Customer != "" {
		args["customer"] = f.Customer
	}
	if f.Status != 0 {
		args["status"] = int16(f.Status)
	}
	views, err := s.views(ctx, pageQuery(f), args)
	if err != nil {
		return nil, fmt.Errorf("list orders: %w", err)
	}
	return views, nil
}

func (s *Store) views(ctx context.Context, query string, args pgx.StrictNamedArgs) ([]order.View, error) {
	rows, err := s.Pool.Query(ctx, query, args)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (order.View, error) {
		var now order.State
		var first storedEvent
		var address []byte
		var deadline *time.Time
		if err := row.Scan(&now.ID, &now.Status, &now.Version, &now.Undo, &now.Resends, &now.Since, &deadline, &now.Reason, &now.Detail,
			&now.UpdatedAt, &first.typ, &first.data, &first.at, &address); err != nil {
			return order.View{}, err
		}
		first.order, first.version = now.ID, 1
		recorded, err := first.decode(s.Codec)
		if err != nil {
			return order.View{}, err
		}
		v := order.View{State: order.Evolve(order.State{}, recorded)}
		v.Status, v.Version, v.Reason, v.Detail, v.UpdatedAt = now.Status, now.Version, now.Reason, now.Detail, now.UpdatedAt.UTC()
		v.Undo, v.Resends, v.Since, v.Deadline = now.Undo, now.Resends, now.Since.UTC(), time.Time{}
		if deadline != nil {
			v.Deadline = deadline.UTC()
		}
		if address != nil {
			err = json.Unmarshal(address, &v.Recipient)
		}
		return v, err
	})
}

const selectHistory = `
SELECT order_id, version, type, data, occurred_at FROM order_events WHERE order_id = @order_id ORDER BY version`

// History reads all events of an order, oldest first, or order.ErrNotFound.
func (s *Store) History(ctx context.Context, id ids.ID) ([]order.Recorded, error) {
	rows, err := s.Pool.Query(ctx, selectHistory, pgx.StrictNamedArgs{"order_id": id})
	if err != nil {
		return nil, fmt.Errorf("read the history of order %s: %w", id, err)
	}
	events, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (order.Recorded, error) {
		var r storedEvent
		if err := row.Scan(&r.order, &r.version, &r.typ, &r.data, &r.at); err != nil {
			return order.Recorded{}, err
		}
		return r.decode(s.Codec)
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the history of order %s: %w", id, err)
	case len(events) == 0:
		return nil, order.ErrNotFound
	}
	return events, nil
}

// Both branches read an index of few rows: orders that are under way, and those
// that wait for a person.
const countUnfinished = `
SELECT status, count(*) FROM orders WHERE open GROUP BY status
UNION ALL SELECT status, count(*) FROM orders WHERE needs_operator GROUP BY status`

// Unfinished counts the orders that have not ended, by status.
func (s *Store) Unfinished(ctx context.Context) (map[order.Status]int64, error) {
	counts := make(map[order.Status]int64)
	rows, err := s.Pool.Query(ctx, countUnfinished)
	if err == nil {
		var status order.Status
		var n int64
		_, err = pgx.ForEachRow(rows, []any{&status, &n}, func() error { counts[status] = n; return nil })
	}
	if err != nil {
		return nil, fmt.Errorf("count unfinished orders: %w", err)
	}
	return counts, nil
}

// upsertProducts keeps the higher version, whatever the order of arrival.
const upsertProducts = `
INSERT INTO products (sku, currency, price_minor, version, deleted)
SELECT * FROM unnest(@skus::text[], @currencies::text[], @prices::bigint[], @versions::bigint[], @deleteds::boolean[])
ON CONFLICT (sku) DO UPDATE SET
    currency = excluded.currency, price_minor = excluded.price_minor, version = excluded.version, deleted = excluded.deleted
WHERE products.version < excluded.version`

// UpsertProducts takes in changes of the catalogue. They are idempotent and may
// come in any order; of several of one SKU the highest version counts.
func (s *Store) UpsertProducts(ctx context.Context, products []order.Product) error {
	var (
		skus, currencies []string
		prices, versions []int64
		deleteds         []bool
	)
	for _, p := range order.Newest(products) {
		skus, currencies, prices = append(skus, p.SKU), append(currencies, p.Price.Currency), append(prices, p.Price.Minor)
		versions, deleteds = append(versions, p.Version), append(deleteds, p.Deleted)
	}
	_, err := s.Pool.Exec(ctx, upsertProducts, pgx.StrictNamedArgs{
		"skus": skus, "currencies": currencies, "prices": prices, "versions": versions, "deleteds": deleteds,
	})
	if err != nil {
		return fmt.Errorf("store %d products: %w", len(skus), err)
	}
	return nil
}
