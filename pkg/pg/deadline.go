package pg

import (
	"context"
	"errors"
	"fmt"
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
