package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"example.com/ballast/services/payments/internal/payment"
)

// columns are what scanPayment scans, of the table under the name p.
const columns = `p.order_id::text, p.status, p.currency, p.amount, p.version, p.charge_version, p.captured,
	p.intent_id, p.key_number, p.key_born_at, p.decline_code, p.attempts, p.setbacks, p.trace, p.updated_at`

func scanPayment(row pgx.CollectableRow) (p payment.Payment, err error) {
	err = row.Scan(&p.OrderID, &p.Status, &p.Amount.Currency, &p.Amount.Minor, &p.Version, &p.ChargeVersion, &p.Captured,
		&p.IntentID, &p.KeyNumber, &p.KeyBorn, &p.DeclineCode, &p.Attempts, &p.Setbacks, &p.Trace, &p.Updated)
	return p, err
}

const sqlRead = `select ` + columns + ` from payments p where p.order_id = any(@orders::uuid[])`

// read returns the payments there are, without locks: writes are guarded.
func (s *Store) read(ctx context.Context, orders []string) (map[string]payment.Payment, error) {
	rows, err := s.pool.Query(ctx, sqlRead, pgx.StrictNamedArgs{"orders": orders})
	if err != nil {
		return nil, fmt.Errorf("read payments: %w", err)
	}
	found, err := pgx.CollectRows(rows, scanPayment)
	if err != nil {
		return nil, fmt.Errorf("read payments: %w", err)
	}
	payments := make(map[string]payment.Payment, len(found))
	for _, p := range found {
		payments[p.OrderID] = p
	}
	return payments, nil
}

// Get reads one payment. It fails with payment.ErrNotFound.
func (s *Store) Get(ctx context.Context, orderID string) (payment.Payment, error) {
	found, err := s.read(ctx, []string{orderID})
	if err != nil {
		return payment.Payment{}, err
	}
	p, ok := found[orderID]
	if !ok {
		return payment.Payment{}, fmt.Errorf("order %s: %w", orderID, payment.ErrNotFound)
	}
	return p, nil
}

const sqlList = `select ` + columns + ` from payments p where p.order_id > @after::uuid order by p.order_id limit @limit`

// List reads payments in the order of their ids, from the one behind after.
func (s *Store) List(ctx context.Context, after string, limit int) ([]payment.Payment, error) {
	rows, err := s.pool.Query(ctx, sqlList, pgx.StrictNamedArgs{"after": after, "limit": limit})
	if err != nil {
		return nil, fmt.Errorf("list payments: %w", err)
	}
	payments, err := pgx.CollectRows(rows, scanPayment)
	if err != nil {
		return nil, fmt.Errorf("list payments: %w", err)
	}
	return payments, nil
}

const sqlLedger = `
	select entry_id, posted_at, order_id::text, kind, account, currency, amount
	from ledger_entries where entry_id > @after order by entry_id limit @limit`

// Ledger reads entries in the order of posting, from the one behind after.
func (s *Store) Ledger(ctx context.Context, after int64, limit int) ([]payment.Posted, error) {
	rows, err := s.pool.Query(ctx, sqlLedger, pgx.StrictNamedArgs{"after": after, "limit": limit})
	if err != nil {
		return nil, fmt.Errorf("list ledger: %w", err)
	}
	entries, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e payment.Posted, err error) {
		err = row.Scan(&e.ID, &e.Time, &e.OrderID, &e.Kind, &e.Account, &e.Amount.Currency, &e.Amount.Minor)
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("list ledger: %w", err)
	}
	return entries, nil
}
