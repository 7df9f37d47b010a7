package lease

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Fence adds a check to b that fails the whole batch, and with it the writes in
// the same transaction, unless the lease is still in this epoch. Until the
// transaction ends no other process can take the lease over.
func Fence(b *pgx.Batch, name string, epoch int64) {
	b.Queue(fence, name, epoch)
}

const fence = `select lease_fence($1, $2)`

// Stale says whether err is Fence's refusal.
func Stale(err error) bool {
	var pe *pgconn.PgError
	return errors.As(err, &pe) && pe.Code == "BL001"
}

// Refused is Stale, counted and logged: a leader that is none any more has tried
// to write.
func (l *Lease) Refused(ctx context.Context, err error) bool {
	if !Stale(err) {
		return false
	}
	l.stale.Add(1)
	l.metrics.stale.Add(ctx, 1, l.attribute())
	l.Logger.WarnContext(ctx, "a stale leader's write was refused", "lease", l.name, "holder", l.holder, "error", err)
	return true
}

// Stall plays a leader that is paused in the middle of a fenced write, for drills:
// a transaction that has locked the lease's row stays open for d, unless the
// database ends it. Then the write is tried again, as a leader does whose
// connection has broken. Stall returns once the transaction is open, and fails
// when this process has never led; the outcome is logged.
func (l *Lease) Stall(ctx context.Context, d time.Duration) error {
	t := l.term.Load()
	if t == nil {
		return fmt.Errorf("lease %s was never held by this process", l.name)
	}
	tx, err := l.pool.Begin(ctx)
	if err != nil {
		return fmt.Errorf("stall: %w", err)
	}
	ctx = context.WithoutCancel(ctx)
	if _, err := tx.Exec(ctx, fence, l.name, t.epoch); err != nil {
		return errors.Join(fmt.Errorf("stall: %w", err), tx.Rollback(ctx))
	}
	time.AfterFunc(d, func() {
		err := tx.Commit(ctx)
		if err == nil {
			return
		}
		l.Logger.WarnContext(ctx, "a leader's transaction was ended by the database", "lease", l.name, "epoch", t.epoch, "error", err)
		b := &pgx.Batch{}
		Fence(b, l.name, t.epoch)
		l.Refused(ctx, l.pool.SendBatch(ctx, b).Close())
	})
	return nil
}
