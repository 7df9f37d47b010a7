package pg_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"example.com/ballast/pkg/config"
	"example.com/ballast/pkg/pg"
)

// What opens the breaker in front of Postgres, and what does not.
func TestAway(t *testing.T) {
	t.Parallel()
	code := func(c string) error { return fmt.Errorf("query: %w", &pgconn.PgError{Code: c}) }
	for _, err := range []error{
		io.ErrUnexpectedEOF, context.DeadlineExceeded, &pgconn.ConnectError{},
		code("08006"), code("53300"), code("57014"), code("57P01"), code("57P03"),
	} {
		if !pg.Away(err) {
			t.Errorf("%v does not count", err)
		}
	}
	for _, err := range []error{
		nil, errors.New("declined"), context.Canceled, pg.ErrConflict, fmt.Errorf("%w: %w", pg.ErrConflict, io.EOF),
		code("23505"), code("23514"), code("22003"), code("40001"), code("40P01"), code("55P03"), code("53100"), code("25P03"),
	} {
		if pg.Away(err) {
			t.Errorf("%v counts", err)
		}
	}
}

// Three services of two replicas, one more that is being replaced, and the three
// connections that the server keeps for superusers.
func TestDefaultConnectionsFitTheServer(t *testing.T) {
	t.Parallel()
	s, err := config.Parse[pg.Settings](map[string]string{"POSTGRES_URL": "postgres://h/d"})
	if err != nil {
		t.Fatal(err)
	}
	const processes, relay, maxConnections, reserved = 3*2 + 1, 2, 100, 3
	if n := processes * (s.APIConns + s.WorkConns + relay); n > maxConnections-reserved {
		t.Errorf("%d connections, and the server has %d", n, maxConnections-reserved)
	}
}
