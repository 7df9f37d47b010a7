package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/ballast/services/payments/internal/payment"
)

// sqlPostings reads the provider's side of each posting: that the other side is
// its opposite, the table sees to.
const sqlPostings = `
	select l.entry_id, l.posted_at, l.order_id::text, p.intent_id, l.kind, abs(l.amount)
	from ledger_entries l join payments p on p.order_id = l.order_id
	where l.posted_at >= @from and l.posted_at < @until and l.entry_id > @after and l.account = 'provider_receivable'
	order by l.entry_id limit @limit`

// Postings reads what was posted in [from, until) behind an entry id, in order.
func (s *Store) Postings(ctx context.Context, from, until time.Time, after int64, limit int) ([]payment.Posting, error) {
	rows, err := s.pool.Query(ctx, sqlPostings, pgx.StrictNamedArgs{"from": from, "until": until, "after": after, "limit": limit})
	if err != nil {
		return nil, fmt.Errorf("read postings: %w", err)
	}
	postings, err := pgx.CollectRows(rows, pgx.RowToStructByPos[payment.Posting])
	if err != nil {
		return nil, fmt.Errorf("read postings: %w", err)
	}
	return postings, nil
}

// sqlSums: an order has one posting of each kind, so the filters pick one amount. It
// goes order by order, whatever the planner thinks that the ledger's size is.
const sqlSums = `
	select o.order_id::text, l.charged, l.refunded
	from unnest(@orders::uuid[]) as o (order_id) cross join lateral (
		select coalesce(sum(amount) filter (where kind = 'charge'), 0)::bigint as charged,
			coalesce(-sum(amount) filter (where kind = 'refund'), 0)::bigint as refunded
		from ledger_entries where order_id = o.order_id and account = 'provider_receivable'
	) as l`

// Accounts reads payments and ledger of orders, as of one moment: a result that
// is stored in between must not look like a difference.
func (s *Store) Accounts(ctx context.Context, orders []string) (map[string]payment.Account, error) {
	accounts := make(map[string]payment.Account, len(orders))
	if len(orders) == 0 {
		return accounts, nil
	}
	args := pgx.StrictNamedArgs{"orders": orders}
	snapshot := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(ctx, s.pool, snapshot, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sqlRead, args)
		if err != nil {
			return err
		}
		payments, err := pgx.CollectRows(rows, scanPayment)
		if err != nil {
			return err
		}
		for _, p := range payments {
			accounts[p.OrderID] = payment.Account{Payment: p}
		}
		if rows, err = tx.Query(ctx, sqlSums, args); err != nil {
			return err
		}
		var order string
		var charged, refunded int64
		_, err = pgx.ForEachRow(rows, []any{&order, &charged, &refunded}, func() error {
			if a, ok := accounts[order]; ok || charged != 0 || refunded != 0 {
				a.Charged, a.Refunded = charged, refunded
				accounts[order] = a
			}
			return nil
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	return accounts, nil
}

const sqlTotals = `
	select coalesce(sum(amount) filter (where amount > 0), 0)::bigint, coalesce(-sum(amount) filter (where amount < 0), 0)::bigint
	from ledger_entries`

const sqlSumUp = `select currency, sum(amount)::bigint, count(*) from ledger_entries group by currency`

// SumUp adds up the whole ledger, which takes longer with every order: on the
// connection that it is given, since those of the work have no such time.
func SumUp(ctx context.Context, conn *pgx.Conn) (payment.Sums, error) {
	sums := payment.Sums{Balance: map[string]int64{}}
	rows, err := conn.Query(ctx, sqlSumUp)
	if err == nil {
		var currency string
		var sum, entries int64
		_, err = pgx.ForEachRow(rows, []any{&currency, &sum, &entries}, func() error {
			sums.Balance[currency] = sum
			sums.Entries += entries
			return nil
		})
	}
	if err != nil {
		return payment.Sums{}, fmt.Errorf("sum of the ledger: %w", err)
	}
	return sums, nil
}

// Totals adds up the whole ledger in minor units, both above zero.
func (s *Store) Totals(ctx context.Context) (debits, credits int64, err error) {
	if err := s.pool.QueryRow(ctx, sqlTotals).Scan(&debits, &credits); err != nil {
		return 0, 0, fmt.Errorf("add up the ledger: %w", err)
	}
	return debits, credits, nil
}
