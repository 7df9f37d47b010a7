package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// controlDatabase is made for the control and dropped after it.
const controlDatabase = "ballast_control"

// controlConnections are tried one after another; the best counts.
var controlConnections = [...]int{8, 16, 32, 64}

// Control is the floor under every checkout on this machine: a bare loop of
// three one-row commits, which is what a durable three-step saga cannot do
// without unless it batches.
type Control struct {
	LoopsPerSecond float64 `json:"loopsPerSecond"`
	Connections    int     `json:"connections"`
}

// runControl measures each number of connections for the given time.
func runControl(ctx context.Context, dsn string, each time.Duration) (_ *Control, err error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("control: Postgres URL: %w", err)
	}
	admin, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	defer func() { err = errors.Join(err, admin.Close(context.WithoutCancel(ctx))) }()
	const drop = "DROP DATABASE IF EXISTS " + controlDatabase + " WITH (FORCE)"
	for _, sql := range []string{drop, "CREATE DATABASE " + controlDatabase} {
		if _, err := admin.Exec(ctx, sql); err != nil {
			return nil, fmt.Errorf("control: %w", err)
		}
	}
	defer func() {
		_, dropErr := admin.Exec(context.WithoutCancel(ctx), drop)
		err = errors.Join(err, dropErr)
	}()
	config.Database = controlDatabase
	best := &Control{}
	for _, connections := range controlConnections {
		rate, err := controlLoop(ctx, config, connections, each)
		if err != nil {
			return nil, fmt.Errorf("control with %d connections: %w", connections, err)
		}
		if rate > best.LoopsPerSecond {
			best = &Control{LoopsPerSecond: rate, Connections: connections}
		}
	}
	return best, nil
}

// controlLoop returns how many times a second three rows were committed, one by one.
func controlLoop(ctx context.Context, config *pgx.ConnConfig, connections int, duration time.Duration) (float64, error) {
	const insert = `INSERT INTO control (connection, payload) VALUES ($1, $2)`
	conns := make([]*pgx.Conn, 0, connections)
	defer func() {
		for _, conn := range conns {
			_ = conn.Close(context.WithoutCancel(ctx)) // the database is dropped next
		}
	}()
	for range connections {
		conn, err := pgx.ConnectConfig(ctx, config)
		if err != nil {
			return 0, err
		}
		conns = append(conns, conn)
	}
	const table = `CREATE TABLE IF NOT EXISTS control (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, connection int NOT NULL, payload bytea NOT NULL)`
	if _, err := conns[0].Exec(ctx, table); err != nil {
		return 0, err
	}
	payload := make([]byte, 200) // by judgement: about an event of an order
	loops := make([]int, connections)
	started := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for i, conn := range conns {
		group.Go(func() error {
			for time.Since(started) < duration {
				for range 3 {
					if _, err := conn.Exec(ctx, insert, i, payload); err != nil {
						return err
					}
				}
				loops[i]++
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	total := 0
	for _, n := range loops {
		total += n
	}
	return float64(total) / time.Since(started).Seconds(), nil
}
