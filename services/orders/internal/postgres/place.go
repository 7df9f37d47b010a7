package postgres

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/ballast/pkg/batch"
	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/outbox"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/services/orders/internal/order"
)

type owner struct{ customer, key string }

func ownerOf(p order.Placement) owner { return owner{p.Customer, p.Key} }

// Place stores a batch of orders in one transaction. Each result is the order
// as it was placed, also for a key that was used before; or the refusal of that
// one: *order.Refusal, *order.PriceChanged, order.ErrKeyReused. Any other error
// means that nothing of the batch is known to be stored.
func (s *Store) Place(ctx context.Context, placements []order.Placement) (results []batch.Result[order.State]) {
	var stored []*change
	err := pg.Retry(ctx, func(ctx context.Context) (err error) {
		results, stored, err = s.place(ctx, placements)
		return err
	})
	if err != nil {
		results = make([]batch.Result[order.State], len(placements))
		for i := range results {
			results[i].Err = fmt.Errorf("place %d orders: %w", len(placements), err)
		}
		return results
	}
	s.committed(ctx, stored)
	return results
}

func (s *Store) place(ctx context.Context, placements []order.Placement) ([]batch.Result[order.State], []*change, error) {
	known, products, err := s.lookUp(ctx, placements)
	if err != nil {
		return nil, nil, err
	}
	at := s.now()
	results := make([]batch.Result[order.State], len(placements))
	fresh := make(map[owner]*newOrder)
	for i, p := range placements {
		state, exists := known[ownerOf(p)]
		if n := fresh[ownerOf(p)]; n != nil {
			state, exists = n.After, true
		}
		if !exists {
			n, err := s.price(p, products, at)
			if err != nil {
				results[i].Err = err
				continue
			}
			fresh[ownerOf(p)] = n
			state = n.After
		}
		if !bytes.Equal(state.RequestHash, p.RequestHash) {
			results[i].Err = order.ErrKeyReused
			continue
		}
		results[i].Value = state
	}
	stored, err := s.insert(ctx, fresh, at)
	return results, stored, err
}

// newOrder is an order about to be stored.
type newOrder struct {
	change
	recipient order.Recipient
}

func (s *Store) price(p order.Placement, products map[string]order.Product, at time.Time) (*newOrder, error) {
	lines, total, refusal := order.Price(p.Wanted, products)
	if refusal != nil {
		return nil, refusal
	}
	if p.Expected != nil && *p.Expected != total {
		return nil, &order.PriceChanged{Expected: *p.Expected, Actual: total}
	}
	event, command := order.Place(order.WasPlaced{
		ID: ids.New(), Customer: p.Customer, Key: p.Key, RequestHash: p.RequestHash,
		Lines: lines, Total: total, Country: p.Country,
	}, at, s.Policy)
	n := &newOrder{change: change{Change: order.Change{Trace: p.Trace}}, recipient: p.Recipient}
	n.After.ID = event.ID
	n.record([]order.Event{event}, []order.Command{command}, at)
	return n, nil
}

// selectByKey leaves the planner nothing but the two keys: of a plain join it made,
// while the tables were new, a plan that read every first event there is.
const selectByKey = `
SELECT k.customer_id, k.idempotency_key, e.*
FROM unnest(@customers::text[], @keys::text[]) AS k (customer_id, idempotency_key)
CROSS JOIN LATERAL (
    SELECT order_id FROM orders WHERE customer_id = k.customer_id AND idempotency_key = k.idempotency_key OFFSET 0
) AS o
CROSS JOIN LATERAL (
    SELECT order_id, version, type, data, occurred_at FROM order_events WHERE order_id = o.order_id AND version = 1 OFFSET 0
) AS e`

const selectProducts = `
SELECT sku, currency, price_minor, version, deleted FROM products WHERE sku = ANY(@skus::text[])`

// lookUp reads, in one round trip, the orders that have these keys already and
// the products that are wanted.
func (s *Store) lookUp(ctx context.Context, placements []order.Placement) (map[owner]order.State, map[string]order.Product, error) {
	var customers, keys, skus []string
	for _, p := range placements {
		customers, keys = append(customers, p.Customer), append(keys, p.Key)
		for _, w := range p.Wanted {
			skus = append(skus, w.SKU)
		}
	}
	slices.Sort(skus)
	skus = slices.Compact(skus)
	known, products := map[owner]order.State{}, make(map[string]order.Product, len(skus))
	b := &pgx.Batch{}
	b.Queue(selectByKey, pgx.StrictNamedArgs{"customers": customers, "keys": keys}).Query(func(rows pgx.Rows) error {
		var o owner
		var r storedEvent
		_, err := pgx.ForEachRow(rows, []any{&o.customer, &o.key, &r.order, &r.version, &r.typ, &r.data, &r.at}, func() error {
			recorded, err := r.decode(s.Codec)
			known[o] = order.Evolve(order.State{}, recorded)
			return err
		})
		return err
	})
	b.Queue(selectProducts, pgx.StrictNamedArgs{"skus": skus}).Query(func(rows pgx.Rows) error {
		var p order.Product
		_, err := pgx.ForEachRow(rows, []any{&p.SKU, &p.Price.Currency, &p.Price.Minor, &p.Version, &p.Deleted}, func() error {
			products[p.SKU] = p
			return nil
		})
		return err
	})
	if err := s.Pool.SendBatch(ctx, b).Close(); err != nil {
		return nil, nil, fmt.Errorf("look up keys and products: %w", err)
	}
	return known, products, nil
}

const insertOrders = `
INSERT INTO orders (order_id, customer_id, idempotency_key, request_hash, status, open, version, currency, total_minor, country,
    undo, seen_reserve, seen_charge, seen_ship, resends, since, deadline, reason, detail, created_at, updated_at, trace)
SELECT order_id, customer_id, idempotency_key, request_hash, @status, true, 1, currency, total_minor, country,
    0, 0, 0, 0, 0, @at, @deadline, 0, '', @at, @at, trace
FROM unnest(@order_ids::uuid[], @customers::text[], @keys::text[], @hashes::bytea[], @currencies::text[], @totals::bigint[], @countries::text[], @traces::text[])
    AS n (order_id, customer_id, idempotency_key, request_hash, currency, total_minor, country, trace)`

const insertRecipients = `
INSERT INTO order_recipients (order_id, address) SELECT * FROM unnest(@order_ids::uuid[], @addresses::jsonb[])`

// insert writes new orders in one round trip, sorted by their keys so that two
// replicas never wait for each other in a circle. When another replica has
// committed one of the keys since it was looked up, it fails as a conflict:
// next time the key is found.
func (s *Store) insert(ctx context.Context, fresh map[owner]*newOrder, at time.Time) ([]*change, error) {
	if len(fresh) == 0 {
		return nil, nil
	}
	var (
		changes   []*change
		named     uuids
		addresses [][]byte
	)
	for _, n := range fresh {
		changes = append(changes, &n.change)
		if !n.recipient.Empty() {
			address, err := json.Marshal(n.recipient)
			if err != nil {
				return nil, fmt.Errorf("encode recipient: %w", err)
			}
			named, addresses = append(named, n.After.ID), append(addresses, address)
		}
	}
	slices.SortFunc(changes, func(a, b *change) int {
		return cmp.Or(cmp.Compare(a.After.Customer, b.After.Customer), cmp.Compare(a.After.Key, b.After.Key))
	})
	msgs, events := s.messages(changes, at)
	b := &pgx.Batch{}
	b.Queue(insertOrders, insertArgs(changes, at))
	b.Queue(insertEvents, eventArgs(changes, events))
	if len(named) > 0 {
		b.Queue(insertRecipients, pgx.StrictNamedArgs{"order_ids": named, "addresses": addresses})
	}
	outbox.Queue(ctx, b, msgs)
	return changes, lost(s.Pool.SendBatch(ctx, b).Close(), "orders_customer_key")
}

func insertArgs(changes []*change, at time.Time) pgx.StrictNamedArgs {
	var (
		customers, keys, currencies, countries, traces []string
		hashes                                         [][]byte
		totals                                         []int64
	)
	for _, c := range changes {
		o := c.After
		customers, keys, hashes = append(customers, o.Customer), append(keys, o.Key), append(hashes, o.RequestHash)
		currencies, totals, countries = append(currencies, o.Total.Currency), append(totals, o.Total.Minor), append(countries, o.Country)
		traces = append(traces, recorded(c.Trace))
	}
	return pgx.StrictNamedArgs{
		"order_ids": orderIDs(changes), "customers": customers, "keys": keys, "hashes": hashes,
		"currencies": currencies, "totals": totals, "countries": countries, "traces": traces,
		"status": int16(order.Placed), "at": at, "deadline": changes[0].After.Deadline,
	}
}
