package outbox

import (
	"context"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

// scan measures the outbox about every second, in every process, and tells the
// leading loop about rows below its hint. It runs beside the loop, because an
// old snapshot elsewhere can make it slow; then it also runs less often.
func (r *Relay) scan(ctx context.Context) error {
	const every, share = time.Second, 10 // At most a tenth of the time.
	for {
		began := time.Now()
		below, err := r.scanOnce(ctx)
		if err != nil && ctx.Err() == nil {
			r.Logger.WarnContext(ctx, "outbox not scanned", "error", err)
		}
		took := time.Since(began)
		r.metrics.scan.Record(ctx, took.Seconds())
		next := time.After(max(every, share*took) - took)
		if len(below) > 0 && r.epoch.Load() > 0 {
			select {
			case r.late <- below:
			case <-ctx.Done():
				return nil
			case <-next: // The loop waits for Kafka; the next scan will tell it.
				continue
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-next:
		}
	}
}

// scanOnce returns the rows below the loop's hint.
func (r *Relay) scanOnce(ctx context.Context) (below []int64, err error) {
	const scan = `
		select count(*),
			coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0)::float8,
			coalesce(array_agg(id order by id) filter (where id <= $1), '{}')
		from outbox`
	var (
		depth, open int64
		age         float64
	)
	unacked := r.unacked.Load()
	b := &pgx.Batch{}
	// It reads the table whole. A pool that pins its plans to indexes would have
	// it visit the dead rows one by one: 660 ms in place of a few.
	b.Queue(`select set_config('enable_seqscan', 'on', true)`)
	b.Queue(scan, r.hint.Load()).QueryRow(func(row pgx.Row) error { return row.Scan(&depth, &age, &below) })
	b.Queue(`select count(*) from outbox_dead where decision is null`).QueryRow(func(row pgx.Row) error { return row.Scan(&open) })
	if err := r.Pool.SendBatch(ctx, b).Close(); err != nil {
		return nil, err
	}
	r.depth.Store(max(0, depth-unacked))
	if depth <= unacked {
		age = 0
	}
	r.age.Store(int64(max(0, age) * float64(time.Second)))
	r.deadOpen.Store(open)
	return below, nil
}

// channel is the name for LISTEN and NOTIFY, which PostgreSQL keeps apart by
// database.
const channel = "outbox"

// connect opens a connection of the relay's own: listening would occupy one of
// the pool for ever. It may be silent for as long as nobody notifies: should it be
// dead, the kernel finds out, and polling goes on meanwhile.
func (r *Relay) connect(ctx context.Context) (*pgx.Conn, error) {
	config := r.Pool.Config().ConnConfig
	config.DialFunc = new(net.Dialer).DialContext
	// A wait for a notification ends with its context. The pool's connections ask
	// the server to cancel first, and there is nothing to be cancelled.
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.DeadlineContextWatcherHandler{Conn: conn.Conn()}
	}
	return pgx.ConnectConfig(ctx, config)
}

// listen wakes the loop when another process notifies. Polling is the backstop,
// so it simply starts over when the connection breaks.
func (r *Relay) listen(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := r.listenOnce(ctx); err != nil && ctx.Err() == nil {
			r.Logger.WarnContext(ctx, "outbox relay is not listening", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	return nil
}

func (r *Relay) listenOnce(ctx context.Context) error {
	conn, err := r.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "listen "+channel); err != nil {
		return err
	}
	for {
		poke(r.wake) // Also for what came before LISTEN.
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return err
		}
	}
}

// notifyOthers tells the leading process about this one's signals. Notifying
// takes a lock that all notifying transactions share until they have committed,
// so it happens after the writing transaction, apart from it, without waiting
// for the disk, and many signals become one.
func (r *Relay) notifyOthers(ctx context.Context) error {
	const rest = 5 * time.Millisecond
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			_ = conn.Close(context.WithoutCancel(ctx))
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.notify:
		}
		if r.epoch.Load() > 0 {
			poke(r.wake) // This process has come to lead since.
			continue
		}
		var err error
		if conn == nil || conn.IsClosed() {
			conn, err = r.connect(ctx)
		}
		if err == nil {
			b := &pgx.Batch{}
			b.Queue(`select set_config('synchronous_commit', 'off', true)`)
			b.Queue(`select pg_notify($1, '')`, channel)
			err = conn.SendBatch(ctx, b).Close()
		}
		pause := rest
		if err != nil {
			pause = time.Second // The leader polls meanwhile.
			r.Logger.DebugContext(ctx, "outbox not notified", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}
