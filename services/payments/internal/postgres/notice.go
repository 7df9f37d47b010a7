package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/ballast/pkg/inbox"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/services/payments/internal/payment"
)

// webhooks is the name under which the inbox knows the consumer of notices.
const webhooks = "webhooks"

// Taken is what became of notices, by their place.
type Taken struct {
	Noticed []payment.Noticed
	// Traces are those of the payments' commands, empty where none is known.
	Traces []string
	// Claims are what the inbox knows of them.
	Claims inbox.Claims
}

// Notice takes notices and makes their open payments due within a time, all in
// one transaction: an id that is remembered without its effect would be lost for
// good. What those do that are too old or too new for the inbox to know them is
// harmless to repeat.
func (s *Store) Notice(ctx context.Context, notices []payment.Notice, within time.Duration) (taken Taken, err error) {
	entries := make([]inbox.Entry, len(notices))
	for i, n := range notices {
		entries[i] = inbox.Entry{ID: n.ID, SentAt: n.Sent}
	}
	err = pg.Retry(ctx, func(ctx context.Context) error {
		taken = Taken{Noticed: make([]payment.Noticed, len(notices)), Traces: make([]string, len(notices))}
		return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) (err error) {
			if taken.Claims, err = inbox.Claim(ctx, tx, webhooks, entries); err != nil {
				return err
			}
			return hasten(ctx, tx, notices, within, taken)
		})
	})
	if err != nil {
		return Taken{}, fmt.Errorf("take notices: %w", err)
	}
	return taken, nil
}

// sqlHasten brings the end of a lease forward and never back. Whoever holds it
// has that long to end by itself, as it mostly does: the notice of a charge comes
// at about the moment of the call's own answer.
const sqlHasten = `
	with notice as (
		select * from unnest(@orders::uuid[], @intents::text[]) with ordinality as n (order_id, intent_id, place)
	), due as ( -- Locked in the order of the keys, as every writer does; found by them, and not among all that is open.
		select p.order_id from (select distinct order_id from notice order by order_id) as n cross join lateral (
			select order_id, status from payments where order_id = n.order_id offset 0 for no key update
		) as p
		where p.status in ('PENDING', 'VOIDING')
	), hastened as (
		update payments p set lease_until = now() + @within::interval
		from due, notice n
		where p.order_id = due.order_id and n.order_id = due.order_id
			and (p.intent_id = '' or p.intent_id = n.intent_id) and p.lease_until > now() + @within::interval
	)
	select p.intent_id is not null and (p.intent_id = '' or p.intent_id = n.intent_id), due.order_id is not null, coalesce(p.trace, '')
	from notice n left join payments p on p.order_id = n.order_id left join due on due.order_id = n.order_id
	order by n.place`

// hasten writes what became of the fresh notices into taken.
func hasten(ctx context.Context, tx pgx.Tx, notices []payment.Notice, within time.Duration, taken Taken) error {
	var places []int
	var orders, intents []string
	for i, n := range notices {
		if taken.Claims.Fresh[i] {
			places, orders, intents = append(places, i), append(orders, n.OrderID), append(intents, n.IntentID)
		}
	}
	if len(places) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, sqlHasten, pgx.StrictNamedArgs{"orders": orders, "intents": intents, "within": within})
	if err != nil {
		return fmt.Errorf("make payments due: %w", err)
	}
	var known, open bool
	var trace string
	next := 0
	_, err = pgx.ForEachRow(rows, []any{&known, &open, &trace}, func() error {
		outcome := payment.NoticedUnknown
		switch {
		case known && open:
			outcome = payment.NoticedDue
		case known:
			outcome = payment.NoticedSettled
		}
		taken.Noticed[places[next]], taken.Traces[places[next]] = outcome, trace
		next++
		return nil
	})
	if err != nil {
		return fmt.Errorf("make payments due: %w", err)
	}
	return nil
}
