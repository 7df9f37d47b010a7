// Package lease elects one process at a time for work that should be done once,
// through a row in PostgreSQL that expires by the database's clock.
//
// A lease saves work and carries no safety: a process that was paused may still
// believe that it leads.
//
//   - Every acquisition raises the epoch in a durable commit; renewals may be
//     lost, so they don't wait for the disk.
//   - The work's context ends before the lease does.
//   - A write that nothing else guards goes behind Fence, in the same pipelined
//     request: a check that was made before the write lets stale writes commit.
//
// A session-long advisory lock is no alternative: a paused process keeps its
// connection, and with it the lock, for ever.
package lease

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Schema is what a service's migration must contain, verbatim.
//
//go:embed schema.sql
var Schema string

// ErrLost is the cause of the work's cancelled context when the lease could not
// be renewed in time or was taken over.
var ErrLost = errors.New("lease lost")

// Lease is one process's candidacy for a named lease.
type Lease struct {
	// Logger tells of leadership won and lost. Set it before Run, or nothing is
	// told.
	Logger *slog.Logger

	pool   *pgxpool.Pool
	name   string
	holder string
	ttl    time.Duration

	term        atomic.Pointer[term] // the latest, nil before the first
	lost, stale atomic.Int64
	metrics     *metrics
}

// term is one period of leading. A process that was paused learns late that its
// term is over, so what counts is the end that was known beforehand.
type term struct {
	epoch int64
	since time.Time
	ends  atomic.Pointer[time.Time]
}

// New returns a candidate for the lease name. The holder is for people who look
// into the table; it identifies the process. After a crash the lease is free
// again once ttl has passed; a few seconds suit most work.
func New(pool *pgxpool.Pool, name, holder string, ttl time.Duration) *Lease {
	return &Lease{pool: pool, name: name, holder: holder, ttl: ttl, metrics: newMetrics()}
}

// Name is the lease's name, for Fence.
func (l *Lease) Name() string { return l.name }

// Run waits for the lease, calls work with the epoch while it is held, and
// starts over when it is lost. It returns when ctx ends, or with work's result
// when work returns though its context is alive. Work must return soon after
// its context ends: the lease is given back only then.
func (l *Lease) Run(ctx context.Context, work func(ctx context.Context, epoch int64) error) error {
	if l.Logger == nil {
		l.Logger = slog.New(slog.DiscardHandler)
	}
	defer l.observe()()
	for ctx.Err() == nil {
		epoch, until, err := l.acquire(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			l.Logger.WarnContext(ctx, "lease not acquired", "lease", l.name, "error", err)
		case epoch > 0:
			l.Logger.InfoContext(ctx, "lease acquired", "lease", l.name, "holder", l.holder, "epoch", epoch)
			l.begin(epoch, until)
			lost, err := l.hold(ctx, epoch, until, work)
			l.end()
			l.release(ctx, epoch)
			if !lost {
				return err
			}
			l.lost.Add(1)
			l.metrics.lost.Add(ctx, 1, l.attribute())
			l.Logger.WarnContext(ctx, "lease lost", "lease", l.name, "holder", l.holder, "epoch", epoch, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(l.ttl/4 + rand.N(l.ttl/8)): // Candidates don't ask in step.
		}
	}
	return nil
}

// acquire returns the new epoch, or 0 while another process holds the lease,
// and the local moment at which work has to end.
func (l *Lease) acquire(ctx context.Context) (epoch int64, until time.Time, err error) {
	const acquire = `
		insert into lease as l (name, holder, epoch, expires_at)
		values ($1, $2, 1, clock_timestamp() + $3)
		on conflict (name) do update
		set holder = excluded.holder, epoch = l.epoch + 1, expires_at = excluded.expires_at
		where l.expires_at <= clock_timestamp()
		returning epoch`
	asked := time.Now()
	err = l.pool.QueryRow(ctx, acquire, l.name, l.holder, l.ttl).Scan(&epoch)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, time.Time{}, nil
	}
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("acquire lease %s: %w", l.name, err)
	}
	return epoch, l.workEnds(asked), nil
}

// workEnds is measured from before the request: the database counted its ttl
// from a later moment. A quarter is left for the work to stop in.
func (l *Lease) workEnds(asked time.Time) time.Time { return asked.Add(l.ttl - l.ttl/4) }

// hold runs work and renews the lease beside it. It reports whether the lease
// was lost; if not, err is work's own result.
func (l *Lease) hold(ctx context.Context, epoch int64, until time.Time, work func(context.Context, int64) error) (lost bool, err error) {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// A timer, not the renewal's own deadline: it fires although a renewal hangs.
	expiry := time.AfterFunc(time.Until(until), func() { cancel(ErrLost) })
	defer expiry.Stop()
	done := make(chan error, 1)
	go func() { done <- work(inner, epoch) }()

	for pause := l.ttl / 4; inner.Err() == nil; {
		select {
		case err := <-done:
			return ended(inner, err)
		case <-inner.Done():
		case <-time.After(pause):
			pause = l.ttl / 4
			asked := time.Now()
			held, err := l.renew(inner, epoch)
			switch {
			case err != nil:
				pause = l.ttl / 16 // Try again while there is time.
			case !held || !expiry.Reset(time.Until(l.workEnds(asked))):
				cancel(ErrLost) // Taken over, or the timer had fired while the answer was under way.
			default:
				l.prolong(asked)
			}
		}
	}
	return ended(inner, <-done)
}

// ended tells work that was told to stop, because the lease was lost or because
// the process stops, from work that ended by itself.
func ended(inner context.Context, err error) (lost bool, _ error) {
	if inner.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Is(context.Cause(inner), ErrLost), err
}

func (l *Lease) renew(ctx context.Context, epoch int64) (held bool, err error) {
	const renew = `
		update lease set expires_at = clock_timestamp() + $3
		where name = $1 and epoch = $2 and expires_at > clock_timestamp()`
	b := &pgx.Batch{}
	b.Queue(`select set_config('synchronous_commit', 'off', true)`)
	b.Queue(renew, l.name, epoch, l.ttl).Exec(func(tag pgconn.CommandTag) error {
		held = tag.RowsAffected() == 1
		return nil
	})
	if err := l.pool.SendBatch(ctx, b).Close(); err != nil {
		return false, fmt.Errorf("renew lease %s: %w", l.name, err)
	}
	return held, nil
}

// release frees the lease for the next candidate. When it fails, the lease
// expires by itself.
func (l *Lease) release(ctx context.Context, epoch int64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	const release = `update lease set expires_at = '-infinity' where name = $1 and epoch = $2`
	if _, err := l.pool.Exec(ctx, release, l.name, epoch); err != nil {
		l.Logger.WarnContext(ctx, "lease not released", "lease", l.name, "error", err)
	}
}
