package pg

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Aside is one connection that is in no pool: for who looks at the database while
// the pools are full, and for statements that take longer than the pools' may. It
// is opened when it is needed, and kept. It serves one caller at a time.
type Aside struct {
	config *pgx.ConnConfig
	conn   *pgx.Conn
}

// Aside returns a connection that calls itself by the service's name and this
// one, with statements of up to limit. Nothing is opened yet.
func (p *Pools) Aside(name string, limit time.Duration) (*Aside, error) {
	c := p.config
	// What looks at all rows finds none by its key.
	c.App, c.StatementTimeout, c.KeyLookups = c.App+"-"+name, limit, false
	pc, err := c.pool()
	if err != nil {
		return nil, err
	}
	pc.ConnConfig.Tracer = nil // A trace a second of nobody's call.
	return &Aside{config: pc.ConnConfig}, nil
}

// Do calls fn with the connection, after opening it anew if it was lost.
func (a *Aside) Do(ctx context.Context, fn func(*pgx.Conn) error) error {
	if a.conn == nil || a.conn.IsClosed() {
		conn, err := pgx.ConnectConfig(ctx, a.config)
		if err != nil {
			return fmt.Errorf("connect to postgres: %w", err)
		}
		a.conn = conn
	}
	return fn(a.conn)
}

// Close closes what is open. The next Do would open it again.
func (a *Aside) Close(ctx context.Context) error {
	if a.conn == nil {
		return nil
	}
	return a.conn.Close(ctx)
}
