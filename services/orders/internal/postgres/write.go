package postgres

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/outbox"
	"example.com/ballast/services/orders/internal/order"
)

// sender is a pool or a transaction.
type sender interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

const lockOrders = `
SELECT FROM orders WHERE order_id = ANY(@order_ids::uuid[]) ORDER BY order_id FOR UPDATE`

const updateOrders = `
UPDATE orders o SET
    status = n.status, open = n.open, needs_operator = (n.status = 7), version = n.version, undo = n.undo,
    seen_reserve = n.seen_reserve, seen_charge = n.seen_charge, seen_ship = n.seen_ship,
    resends = n.resends, since = n.since, deadline = n.deadline,
    reason = n.reason, detail = n.detail, updated_at = n.updated_at
FROM unnest(@order_ids::uuid[], @read_versions::bigint[], @statuses::smallint[], @opens::boolean[], @versions::bigint[],
    @undos::smallint[], @seen_reserves::bigint[], @seen_charges::bigint[], @seen_ships::bigint[], @resends::integer[],
    @sinces::timestamptz[], @deadlines::timestamptz[], @reasons::smallint[], @details::text[], @updated_ats::timestamptz[])
    AS n (order_id, read_version, status, open, version, undo, seen_reserve, seen_charge, seen_ship, resends,
          since, deadline, reason, detail, updated_at)
WHERE o.order_id = n.order_id AND o.version = n.read_version`

const insertEvents = `
INSERT INTO order_events (order_id, version, type, data, occurred_at)
SELECT * FROM unnest(@order_ids::uuid[], @versions::bigint[], @types::text[], @datas::bytea[], @occurred_ats::timestamptz[])`

// update writes changes of existing orders in one round trip: lock in sorted
// order, so that two batches never wait for each other in a circle; update what
// still has the version that was read; insert the events, which fails by their
// primary key when another writer came first; queue the messages last.
func (s *Store) update(ctx context.Context, db sender, changes []*change, at time.Time) error {
	if len(changes) == 0 {
		return nil
	}
	slices.SortFunc(changes, func(a, b *change) int { return bytes.Compare(a.After.ID[:], b.After.ID[:]) })
	msgs, events := s.messages(changes, at)
	b := &pgx.Batch{}
	b.Queue(lockOrders, pgx.StrictNamedArgs{"order_ids": orderIDs(changes)})
	b.Queue(updateOrders, updateArgs(changes))
	b.Queue(insertEvents, eventArgs(changes, events))
	outbox.Queue(ctx, b, msgs)
	return lost(db.SendBatch(ctx, b).Close(), "order_events_pkey")
}

func updateArgs(changes []*change) pgx.StrictNamedArgs {
	var c columns
	readVersions := make([]int64, len(changes))
	for i, change := range changes {
		c.add(change.After)
		readVersions[i] = change.Before.Version
	}
	return pgx.StrictNamedArgs{
		"order_ids": c.ids, "read_versions": readVersions, "statuses": c.statuses, "opens": c.opens, "versions": c.versions,
		"undos": c.undos, "seen_reserves": c.seen[order.Reserve], "seen_charges": c.seen[order.Charge], "seen_ships": c.seen[order.Ship],
		"resends": c.resends, "sinces": c.sinces, "deadlines": c.deadlines, "reasons": c.reasons, "details": c.details,
		"updated_ats": c.updatedAts,
	}
}

func eventArgs(changes []*change, encoded []message.Message) pgx.StrictNamedArgs {
	var (
		orders   uuids
		versions []int64
		types    []string
		datas    [][]byte
		ats      []time.Time
	)
	for _, c := range changes {
		for _, r := range c.Events {
			m := encoded[len(orders)]
			orders, versions, types = append(orders, r.Order), append(versions, r.Version), append(types, m.Type)
			datas, ats = append(datas, m.Value), append(ats, r.At)
		}
	}
	return pgx.StrictNamedArgs{"order_ids": orders, "versions": versions, "types": types, "datas": datas, "occurred_ats": ats}
}

// columns are states as parallel arrays; add keeps their lengths equal.
type columns struct {
	ids        uuids
	statuses   []int16
	opens      []bool
	versions   []int64
	undos      []int16
	seen       [order.Ship + 1][]int64
	resends    []int32
	sinces     []time.Time
	deadlines  []*time.Time
	reasons    []int16
	details    []string
	updatedAts []time.Time
}

func (c *columns) add(s order.State) {
	c.ids = append(c.ids, s.ID)
	c.statuses = append(c.statuses, int16(s.Status))
	c.opens = append(c.opens, s.Status.Open())
	c.versions = append(c.versions, s.Version)
	c.undos = append(c.undos, int16(s.Undo))
	for step := order.Reserve; step <= order.Ship; step++ {
		c.seen[step] = append(c.seen[step], s.Seen[step])
	}
	c.resends = append(c.resends, s.Resends)
	c.sinces = append(c.sinces, s.Since)
	c.deadlines = append(c.deadlines, nullTime(s.Deadline))
	c.reasons = append(c.reasons, int16(s.Reason))
	c.details = append(c.details, s.Detail)
	c.updatedAts = append(c.updatedAts, s.UpdatedAt)
}

func nullTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
