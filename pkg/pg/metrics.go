package pg

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"example.com/ballast/pkg/poll"
)

const scope = "example.com/ballast/pkg/pg"

// counter counts the statements that a pool sends, around the library's tracer,
// which takes a batch for one.
type counter struct {
	*otelpgx.Tracer

	statements metric.Int64Counter
	pool       metric.MeasurementOption
}

func newCounter(t *otelpgx.Tracer, pool string) *counter {
	return &counter{t, newStatementsCounter(otel.Meter(scope)), metric.WithAttributeSet(attribute.NewSet(attribute.String("pool", pool)))}
}

// TraceQueryStart implements pgx.QueryTracer.
func (c *counter) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	c.statements.Add(ctx, 1, c.pool)
	return c.Tracer.TraceQueryStart(ctx, conn, data)
}

// TraceBatchStart implements pgx.BatchTracer.
func (c *counter) TraceBatchStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	c.statements.Add(ctx, int64(data.Batch.Len()), c.pool)
	return c.Tracer.TraceBatchStart(ctx, conn, data)
}

// Tuned by judgement. Another transaction than ours may idle for a minute before
// anybody is told, so half of one does not matter.
const (
	healthEvery   = time.Second
	healthTimeout = time.Second
	healthRest    = 4
	healthKept    = 30 * time.Second
)

// What the server says of the database's own sessions. Those of other roles are
// shown to members of pg_read_all_stats alone.
const (
	selectOldest = `
		select coalesce(extract(epoch from clock_timestamp() - min(xact_start) filter (where not idle)), 0)::float8,
			coalesce(extract(epoch from clock_timestamp() - min(xact_start) filter (where idle)), 0)::float8
		from (select xact_start, state like 'idle%' as idle from pg_stat_activity
			where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()) s`
	selectRetained = `
		select coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)), 0)::bigint from pg_replication_slots`
)

// health is what can silently stop a database from cleaning up after itself.
type health struct {
	active, idle float64 // seconds: the oldest transaction that works, or waits for its client
	retained     int64   // bytes
}

func readHealth(ctx context.Context, conn *pgx.Conn) (h health, err error) {
	b := &pgx.Batch{}
	b.Queue(selectOldest).QueryRow(func(row pgx.Row) error { return row.Scan(&h.active, &h.idle) })
	b.Queue(selectRetained).QueryRow(func(row pgx.Row) error { return row.Scan(&h.retained) })
	if err := conn.SendBatch(ctx, b).Close(); err != nil {
		return health{}, fmt.Errorf("ask for the database's health: %w", err)
	}
	return h, nil
}

// observe shows the health of the pools' database, until it is closed. It asks on
// a connection of its own: a transaction that idles holds up others until they
// have all of the pools' connections, and that is when it must be seen.
func (p *Pools) observe(ctx context.Context) (closed func(context.Context) error, err error) {
	aside, err := p.Aside("health", healthTimeout)
	if err != nil {
		return nil, err
	}
	latest := &poll.Question[health]{
		Name: "health of the database", Logger: p.config.Logger,
		Every: healthEvery, Timeout: healthTimeout, Rest: healthRest, Keep: healthKept,
		Ask: func(ctx context.Context) (h health, err error) {
			err = aside.Do(ctx, func(conn *pgx.Conn) error {
				h, err = readHealth(ctx, conn)
				return err
			})
			return h, err
		},
	}
	meter := otel.Meter(scope)
	oldest, retained := newTransactionOldestGauge(meter), newReplicationSlotsRetainedGauge(meter)
	active := metric.WithAttributeSet(attribute.NewSet(attribute.String("state", "active")))
	idle := metric.WithAttributeSet(attribute.NewSet(attribute.String("state", "idle")))
	shown, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		if h, ok := latest.Answer(); ok {
			o.ObserveFloat64(oldest, h.active, active)
			o.ObserveFloat64(oldest, h.idle, idle)
			o.ObserveInt64(retained, h.retained)
		}
		return nil
	}, oldest, retained)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- latest.Run(ctx) }()
	return func(ctx context.Context) error {
		cancel()
		return errors.Join(<-done, shown.Unregister(), aside.Close(ctx))
	}, nil
}
