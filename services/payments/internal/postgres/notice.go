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

// Notice takes notices and makes their open payments due within a time, all in
// one transaction: an id that is remembered without its effect would be lost for
// good. What those do that are too old or too new for the inbox to know them is
// harmless to repeat.
func (s *Store) Notice(ctx context.Context, notices []payment.Notice, within time.Duration) (noticed []payment.Noticed, claims inbox.Claims, err error) {
	entries := make([]inbox.Entry, len(notices))
	for i, n := range notices {
		entries[i] = inbox.Entry{ID: n.ID, SentAt: n.Sent}
	}
	err = pg.Retry(ctx, func(ctx context.Context) error {
		noticed = make([]payment.Noticed, len(notices))
		return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) (err error) {
			if claims, err = inbox.Claim(ctx, tx, webhooks, entries); err != nil {
				return err
			}
			return hasten(ctx, tx, notices, claims.Fresh, within, noticed)
		})
	})
	if err != nil {
		return nil, inbox.Claims{}, fmt.Errorf("take notices: %w", err)
	}
	return noticed, claims, nil
}

// sqlHasten brings the end of a lease forward and never back. Whoever holds it
// has that long to end by itself, as it mostly does: the notice of a charge comes
// at about the moment of the call's own answer.
const sqlHasten = `
	with notice as (
		select * from unnest(@orders::uuid[], @intents::text[]) with ordinality as n (order_id, intent_id, place)
	), due as ( -- Locked in the order of the keys, as every writer does.
		select p.order_id from payments p
		where p.order_id = any(@orders::uuid[]) and p.status in ('PENDING', 'VOIDING')
		order by p.order_id for no key update
	), hastened as (
		update payments p set lease_until = now() + @within::interval
		from due, notice n
		where p.order_id = due.order_id and n.order_id = due.order_id
			and (p.intent_id = '' or p.intent_id = n.intent_id) and p.lease_until > now() + @within::interval
	)
	select p.intent_id is not null and (p.intent_id = '' or p.intent_id = n.intent_id), due.order_id is not null
	from notice n left join payments p on p.order_id = n.order_id left join due on due.order_id = n.order_id
	order by n.place`

// hasten writes what became of the fresh notices into noticed.
func hasten(ctx context.Context, tx pgx.Tx, notices []payment.Notice, fresh []bool, within time.Duration, noticed []payment.Noticed) error {
	var places []int
	var orders, intents []string
	for i, n := range notices {
		if fresh[i] {
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
	next := 0
	_, err = pgx.ForEachRow(rows, []any{&known, &open}, func() error {
		outcome := payment.NoticedUnknown
		switch {
		case known && open:
			outcome = payment.NoticedDue
		case known:
			outcome = payment.NoticedSettled
		}
		noticed[places[next]] = outcome
		next++
		return nil
	})
	if err != nil {
		return fmt.Errorf("make payments due: %w", err)
	}
	return nil
}
