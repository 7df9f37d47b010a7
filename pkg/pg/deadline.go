package pg

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

// A call's deadline travels to the server, which ends the statement by itself:
// the answer comes over the connection, the connection stays, and no lock
// outlives the call although nobody is left to ask for it. pgx's default closes
// the connection at every deadline; then a slow moment becomes a storm of
// reconnects, which makes it slower.
const (
	// answerGrace is for the server to say that it gave up. By judgement: one that
	// is silent for longer is away.
	answerGrace = 100 * time.Millisecond
	// A statement whose caller has left may finish in cancelAfter; then the server
	// is asked to cancel it, and the connection is given up when it does not.
	cancelAfter = 50 * time.Millisecond
	cancelGrace = 500 * time.Millisecond
)

// timeoutKey is where a connection remembers its statement_timeout in milliseconds.
const timeoutKey = "ballast.statement_timeout"

// followDeadline gives a connection the time that its user has left, where that
// is less than the pool's statement_timeout. It costs a round trip for callers
// whose deadline is that close, and for the next one after them who has time;
// nothing for all others. A statement gets the whole of it: of several on one
// connection the last may end late, and then costs the connection.
func followDeadline(usual time.Duration) func(context.Context, *pgx.Conn) (bool, error) {
	return func(ctx context.Context, conn *pgx.Conn) (bool, error) {
		want := usual.Milliseconds()
		if deadline, ok := ctx.Deadline(); ok {
			// Rounded up: the call's own deadline comes first, and names the error.
			want = min(want, max(1, time.Until(deadline).Milliseconds()+1))
		}
		has, ok := conn.PgConn().CustomData()[timeoutKey].(int64)
		if !ok {
			has = usual.Milliseconds()
		}
		if has == want {
			return true, nil
		}
		err := conn.PgConn().Exec(ctx, fmt.Sprintf("set statement_timeout = %d", want)).Close()
		if err != nil {
			return false, err
		}
		conn.PgConn().CustomData()[timeoutKey] = want
		return true, nil
	}
}

// watcher decides what the end of a context does to a statement under way.
type watcher struct {
	deadline pgconn.DeadlineContextWatcherHandler
	cancel   pgconn.CancelRequestContextWatcherHandler
	used     ctxwatch.Handler
}

func watch(conn *pgconn.PgConn) ctxwatch.Handler {
	return &watcher{
		deadline: pgconn.DeadlineContextWatcherHandler{Conn: conn.Conn(), DeadlineDelay: answerGrace},
		cancel: pgconn.CancelRequestContextWatcherHandler{
			Conn: conn, CancelRequestDelay: cancelAfter, DeadlineDelay: cancelGrace,
		},
	}
}

// HandleCancel implements ctxwatch.Handler. At a deadline the server is about to
// end the statement by itself; of a caller who left it knows nothing.
func (w *watcher) HandleCancel(ctx context.Context) {
	w.used = &w.cancel
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		w.used = &w.deadline
	}
	w.used.HandleCancel(ctx)
}

// HandleUnwatchAfterCancel implements ctxwatch.Handler.
func (w *watcher) HandleUnwatchAfterCancel() { w.used.HandleUnwatchAfterCancel() }

// A connection can go silent without being closed: a firewall forgot it, or the
// server's machine is gone. Then neither the server's timeouts nor a context
// without a deadline end the wait. So whoever waits for an answer waits a bounded
// time for its next byte.
const (
	// silence is by how much a statement's own end may be overdue. By judgement:
	// enough for a server that is busy with ending many.
	silence = 5 * time.Second
	// pingTimeout bounds the question whether a connection that idled is alive.
	pingTimeout = 2 * time.Second
)

// impatient makes connections whose reads give up after limit.
func impatient(dial pgconn.DialFunc, limit time.Duration) pgconn.DialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &impatientConn{Conn: conn, limit: limit}, nil
	}
}

type impatientConn struct {
	net.Conn

	limit time.Duration

	mu  sync.Mutex
	end time.Time // what pgx has set; it comes first when it is earlier
}

func (c *impatientConn) Read(b []byte) (int, error) {
	if err := c.arm(); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

// arm is atomic with SetDeadline: pgx ends a wait by a deadline in the past, at
// any moment.
func (c *impatientConn) arm() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	end := time.Now().Add(c.limit)
	if !c.end.IsZero() && c.end.Before(end) {
		end = c.end
	}
	return c.Conn.SetReadDeadline(end)
}

// SetDeadline implements net.Conn.
func (c *impatientConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end = t
	return c.Conn.SetDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (c *impatientConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end = t
	return c.Conn.SetReadDeadline(t)
}
