// Package postgres keeps payments, the ledger and the answers that wait for the
// relay.
//
//   - Both writers, the consumer's Record and the executor's Save, are one
//     pipelined request that is one transaction: rows guarded by version, ledger,
//     outbox. expect_rows aborts it when a guard has met fewer rows than it must;
//     then it is read and decided again.
//   - Keys are sorted, so that two batches lock in the same order.
//   - Leases are counted by the database's clock.
package postgres

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/outbox"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/services/payments/internal/payment"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations are the schema, for pg.Migrate.
func Migrations() fs.FS {
	sub, err := fs.Sub(files, "migrations")
	if err != nil {
		panic(err) // The directory is embedded above.
	}
	return sub
}

// Store is safe for concurrent use.
type Store struct {
	pool *pgxpool.Pool
	// encode renders an answer; committed is told when answers wait for the relay.
	encode    func(a payment.Answer, trace string, now time.Time) (message.Message, error)
	committed func()
	now       func() time.Time
}

// New returns a store. encode renders an answer as a message; committed is
// called after each commit that has answers, and must not block.
func New(pool *pgxpool.Pool, encode func(payment.Answer, string, time.Time) (message.Message, error), committed func()) *Store {
	return &Store{pool: pool, encode: encode, committed: committed, now: time.Now}
}

// Record decides a batch of commands, in order, and returns the payments that
// are now open, leased to the caller for the given time. It fails with
// *payment.Rejected for a command that can never succeed, and has then changed
// nothing.
func (s *Store) Record(ctx context.Context, commands []payment.Command, lease time.Duration) (opened []payment.Payment, err error) {
	err = pg.Retry(ctx, func(ctx context.Context) error {
		opened, err = s.record(ctx, commands, lease)
		return err
	})
	return opened, err
}

func (s *Store) record(ctx context.Context, commands []payment.Command, lease time.Duration) ([]payment.Payment, error) {
	orders := make([]string, len(commands))
	for i, c := range commands {
		orders[i] = c.OrderID
	}
	before, err := s.read(ctx, orders)
	if err != nil {
		return nil, err
	}
	now := s.now()
	after := make(map[string]payment.Payment, len(commands))
	var answers []message.Message
	for i, c := range commands {
		p, seen := after[c.OrderID]
		if !seen {
			p = before[c.OrderID]
		}
		next, answer, err := payment.Decide(p, c, now)
		if err != nil {
			return nil, &payment.Rejected{Index: i, Err: err}
		}
		after[c.OrderID] = next
		if answer.Kind == payment.NoAnswer {
			continue
		}
		m, err := s.encode(answer, c.Trace, now)
		if err != nil {
			return nil, fmt.Errorf("answer to order %s: %w", c.OrderID, err)
		}
		answers = append(answers, m)
	}
	inserts, updates, opened := changed(before, after, lease)
	b := &pgx.Batch{}
	queueInsert(b, inserts)
	queueUpdate(b, updates)
	outbox.Queue(ctx, b, answers)
	return opened, s.commit(ctx, b, len(answers) > 0)
}

// changed sorts out what is to be written: one row per order, however many
// commands it had.
func changed(before, after map[string]payment.Payment, lease time.Duration) (inserts, updates []payment.Change, opened []payment.Payment) {
	for order, p := range after {
		from := before[order].Version
		switch {
		case p == before[order]:
			continue
		case p.Version == from:
			// It was stuck, and is due at once. Whoever claims it reads before it asks: an
			// executor may hold it at this moment.
			updates = append(updates, payment.Change{From: from, Payment: p})
			continue
		case from == 0:
			inserts = append(inserts, payment.Change{Payment: p, Lease: lease})
		default:
			updates = append(updates, payment.Change{From: from, Payment: p, Lease: lease})
		}
		if p.Status.Open() {
			opened = append(opened, p)
		}
	}
	// In the order of the ids, which is about the order of arrival.
	slices.SortFunc(opened, func(a, b payment.Payment) int { return strings.Compare(a.OrderID, b.OrderID) })
	return inserts, updates, opened
}

// Save stores results of the provider: each over the version that it was asked
// for, with its ledger entries and its answer. It tells which were stored; the
// others have been settled or voided by somebody else.
func (s *Store) Save(ctx context.Context, changes []payment.Change) (stored []bool, err error) {
	first := true
	err = pg.Retry(ctx, func(ctx context.Context) error {
		stored = make([]bool, len(changes))
		current := map[string]payment.Payment(nil)
		if !first {
			// Somebody was faster with at least one of them: find out with which.
			orders := make([]string, len(changes))
			for i, c := range changes {
				orders[i] = c.Payment.OrderID
			}
			if current, err = s.read(ctx, orders); err != nil {
				return err
			}
		}
		first = false
		return s.save(ctx, changes, current, stored)
	})
	return stored, err
}

func (s *Store) save(ctx context.Context, changes []payment.Change, current map[string]payment.Payment, stored []bool) error {
	now := s.now()
	var writes []payment.Change
	var entries []payment.Entry
	var answers []message.Message
	for i, c := range changes {
		if p, ok := current[c.Payment.OrderID]; ok && superseded(p, c) {
			continue
		}
		stored[i] = true
		writes = append(writes, c)
		if c.Payment.Version == c.From {
			continue
		}
		entries = append(entries, c.Payment.Entries()...)
		if answer := c.Payment.Answer(); answer.Kind != payment.NoAnswer {
			m, err := s.encode(answer, c.Payment.Trace, now)
			if err != nil {
				return fmt.Errorf("answer to order %s: %w", c.Payment.OrderID, err)
			}
			answers = append(answers, m)
		}
	}
	b := &pgx.Batch{}
	queueUpdate(b, writes)
	queueEntries(b, entries, now)
	outbox.Queue(ctx, b, answers)
	return s.commit(ctx, b, len(answers) > 0)
}

// superseded is sqlUpdate's guard.
func superseded(p payment.Payment, c payment.Change) bool {
	return p.Version != c.From || p.IntentID != "" && p.IntentID != c.Payment.IntentID
}

// commit sends the batch: without begin and commit it is one transaction and
// one round trip.
func (s *Store) commit(ctx context.Context, b *pgx.Batch, answers bool) error {
	if b.Len() == 0 {
		return nil
	}
	if err := s.pool.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("write payments: %w", err)
	}
	if answers {
		s.committed()
	}
	return nil
}

// Claim leases up to limit open payments whose lease has expired. Whoever held
// them before may have asked the provider anything, so they come unsure; a key
// that is too old has been renewed.
func (s *Store) Claim(ctx context.Context, limit int, lease time.Duration) ([]payment.Payment, error) {
	rows, err := s.pool.Query(ctx, sqlClaim, pgx.StrictNamedArgs{"limit": limit, "lease": lease})
	if err != nil {
		return nil, fmt.Errorf("claim payments: %w", err)
	}
	claimed, err := pgx.CollectRows(rows, scanPayment)
	if err != nil {
		return nil, fmt.Errorf("claim payments: %w", err)
	}
	var renewed []payment.Change
	now := s.now()
	for i, p := range claimed {
		if young := p.Renew(now); young != p {
			claimed[i] = young
			renewed = append(renewed, payment.Change{From: p.Version, Payment: young, Lease: payment.KeepLease})
		}
		claimed[i].Unsure = true
	}
	if len(renewed) > 0 {
		// The number is stored before it is used: its age counts from here.
		if _, err := s.Save(ctx, renewed); err != nil {
			return nil, fmt.Errorf("renew keys: %w", err)
		}
	}
	return claimed, nil
}

// sqlClaim: SKIP LOCKED lets several processes claim at once, each other rows.
const sqlClaim = `
	with due as (
		select order_id from payments
		where status in ('PENDING', 'VOIDING') and lease_until <= now()
		order by lease_until limit @limit
		for no key update skip locked
	)
	update payments p set lease_until = now() + @lease::interval
	from due where p.order_id = due.order_id
	returning ` + columns

// sqlCountOpen reads the indexes payments_open and payments_stuck alone. Those
// that are stuck do not count as open: they hold nobody up.
const sqlCountOpen = `
	with stuck as (
		select count(*) as n from (
			select from payments where status in ('PENDING', 'VOIDING') and setbacks >= 20 limit @limit
		) counted
	)
	select (select count(*) from (
		select from payments where status in ('PENDING', 'VOIDING') limit @limit + (select n from stuck)
	) open) - n, n from stuck`

// CountOpen returns the number of open payments, and apart from them that of
// stuck ones. It counts neither further than limit.
func (s *Store) CountOpen(ctx context.Context, limit int) (open, stuck int, err error) {
	if err := s.pool.QueryRow(ctx, sqlCountOpen, pgx.StrictNamedArgs{"limit": limit}).Scan(&open, &stuck); err != nil {
		return 0, 0, fmt.Errorf("count open payments: %w", err)
	}
	return open, stuck, nil
}
