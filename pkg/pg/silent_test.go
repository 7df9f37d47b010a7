package pg_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/testkit"
)

// TestSilenceEnds: a statement whose answer never comes ends, although its
// context has no deadline.
func TestSilenceEnds(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(testkit.PostgresURL(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	var silence func()
	u.Host, silence = testkit.Silenced(t, u.Host)
	pool, err := pg.Open(t.Context(), pg.Config{URL: u.String(), MaxConns: 1, StatementTimeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(t.Context(), `select 1`); err != nil { // used just now, so it is not pinged
		t.Fatal(err)
	}
	silence()
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	defer cancel() // before the pool is closed, which waits for its connections
	go func() {
		_, err := pool.Exec(ctx, `select 1`)
		ended <- err
	}()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("a silent connection has answered")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("still waiting after 20 s")
	}
	if _, err := pool.Exec(t.Context(), `select 1`); err != nil {
		t.Error("the pool keeps the silent connection:", err)
	}
}
