package pg

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrConflict says that a row's version was no longer the one that was read.
// Wrap it where a guarded write matched fewer rows than it had to, so that
// Retry reads and decides again. It counts more than what is wrapped beside it:
// the guard may be a constraint, whose violation is nobody's fault then.
var ErrConflict = errors.New("version conflict")

// Transient says whether err is the database's or the moment's fault, not the
// data's: the same work may succeed later. A whole batch may fail with it, so
// it tells nothing about any single item.
func Transient(err error) bool {
	if err == nil {
		return false
	}
	if errors.Is(err, ErrConflict) {
		return true
	}
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		switch pe.Code {
		case "55P03", "55006", "25P03", "25P04": // Lock not available, object in use, idle session or transaction ended.
			return true
		}
		switch pe.Code[:2] {
		case "08", // Connection.
			"40",       // Serialization failure, deadlock, rollback.
			"53",       // Disk full, out of memory, too many connections.
			"57",       // Shutdown, starting up, cancelled, statement timeout.
			"58", "XX": // I/O error; the server's own fault.
			return true
		}
		return false
	}
	var ne net.Error
	var ce *pgconn.ConnectError
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, pgconn.ErrConnClosed) || errors.As(err, &ne) || errors.As(err, &ce) || pgconn.SafeToRetry(err)
}

// Away says whether err means that the database does not serve: it can't be
// reached, does not answer in time, or has no connection left. It is what counts
// for a breaker. A lost race, a lock, a full disk (reads go on) and a caller who
// left are not.
func Away(err error) bool {
	if err == nil || errors.Is(err, ErrConflict) || errors.Is(err, context.Canceled) {
		return false
	}
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		switch pe.Code {
		case "53300", "57014", "57P01", "57P02", "57P03": // Too many connections, statement timeout, shutdown, crash, starting up.
			return true
		}
		return pe.Code[:2] == "08"
	}
	return Transient(err)
}

// DataFault says whether err is about the data of one of the rows: a value out
// of range, or a constraint that nobody mapped to an outcome. In a batch it
// tells that one of the items is to blame, not which.
func DataFault(err error) bool {
	var pe *pgconn.PgError
	return errors.As(err, &pe) && (pe.Code[:2] == "22" || pe.Code[:2] == "23") && !errors.Is(err, ErrConflict)
}

// Constraint names the constraint that err violates, or is empty. A name maps
// to an outcome; an SQLSTATE alone decides nothing.
func Constraint(err error) string {
	var pe *pgconn.PgError
	if errors.As(err, &pe) && pe.Code[:2] == "23" {
		return pe.ConstraintName
	}
	return ""
}

// Retry runs fn, a whole transaction from its first read on, again after a
// deadlock, a serialization failure or ErrConflict: four tries in all, with
// full jitter between them. Other errors, and the last one, are returned.
func Retry(ctx context.Context, fn func(ctx context.Context) error) error {
	const tries, base = 4, 5 * time.Millisecond
	for try := 1; ; try++ {
		err := fn(ctx)
		if err == nil || try == tries || !conflicting(err) {
			return err
		}
		pause := rand.N(base << try)
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(pause):
		}
	}
}

// conflicting says whether err means that another transaction won. Nothing was
// committed, so running the transaction again is safe.
func conflicting(err error) bool {
	var pe *pgconn.PgError
	if errors.As(err, &pe) && (pe.Code == "40001" || pe.Code == "40P01") {
		return true
	}
	return errors.Is(err, ErrConflict)
}
