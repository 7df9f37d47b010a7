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
SELECT o.order_id, o.status, o.version, o.reason, o.detail, o.updated_at, e.type, e.data, e.occurred_at, r.address
FROM orders o
JOIN order_events e ON e.order_id = o.order_id AND e.version = 1
LEFT JOIN order_recipients r ON r.order_id = o.order_id`

const selectView = selectViews + ` WHERE o.order_id = @order_id`

// Pages are by id, newest first: UUIDv7 rise with time. An empty customer means
// every customer.
const selectCustomerPage = selectViews + `
WHERE o.customer_id = @customer AND o.order_id < @before ORDER BY o.order_id DESC LIMIT @count`

const selectPage = selectViews + `
WHERE o.order_id < @before ORDER BY o.order_id DESC LIMIT @count`

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

// List reads up to count orders with ids below before, newest first: one
// customer's, or everybody's when customer is empty.
func (s *Store) List(ctx context.Context, customer string, before ids.ID, count int) ([]order.View, error) {
	query, args := selectPage, pgx.StrictNamedArgs{"before": before, "count": count}
	if customer != "" {
		query, args["customer"] = selectCustomerPage, customer
	}
	views, err := s.views(ctx, query, args)
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
		if err := row.Scan(&now.ID, &now.Status, &now.Version, &now.Reason, &now.Detail, &now.UpdatedAt,
			&first.typ, &first.data, &first.at, &address); err != nil {
			return order.View{}, err
		}
		first.order, first.version = now.ID, 1
		recorded, err := first.decode(s.Codec)
		if err != nil {
			return order.View{}, err
		}
		v := order.View{State: order.Evolve(order.State{}, recorded)}
		v.Status, v.Version, v.Reason, v.Detail, v.UpdatedAt = now.Status, now.Version, now.Reason, now.Detail, now.UpdatedAt.UTC()
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
