package lease_test

import (
	"context"
	"net/url"
	"sync"
	"testing"
	"time"

	"example.com/ballast/pkg/lease"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/testkit"
)

// TestSilentConnections: a candidate must find a working connection again
// when all that its pool has have gone silent.
func TestSilentConnections(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(testkit.PostgresURL(t, migrations))
	if err != nil {
		t.Fatal(err)
	}
	var silence func()
	u.Host, silence = testkit.Silenced(t, u.Host)
	pool, err := pg.Open(t.Context(), pg.Config{URL: u.String(), App: "silent", MaxConns: 6})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() { _, _ = pool.Exec(t.Context(), `select pg_sleep(0.1)`) })
	}
	wg.Wait()
	epochs := make(chan int64, 10)
	l := lease.New(pool, "silent", "a", time.Second)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_ = l.Run(ctx, func(ctx context.Context, epoch int64) error {
			epochs <- epoch
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	<-epochs
	silence()
	select {
	case e := <-epochs:
		t.Log("leads again in epoch", e)
	case <-time.After(20 * time.Second):
		t.Error("20 s after its connections went silent, with a ttl of 1 s, nobody leads")
	}
}
