package testkit

import (
	"context"
	"io"
	"net/url"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"example.com/ballast/pkg/servers"
)

// Redis returns the address, host:port, of a Redis. REDIS_URL names one to use:
// tests then share it and must make their keys Unique. Otherwise each test gets
// an empty one of its own: redis-server, or miniredis where that is missing.
func Redis(t testing.TB) string {
	t.Helper()
	if s := os.Getenv("REDIS_URL"); s != "" {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatalf("REDIS_URL: %v (want redis://host:port/0)", err)
		}
		say("redis", "REDIS_URL")
		return u.Host
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		say("redis", "miniredis, because redis-server is not installed; it shows no eviction")
		return miniredis.RunT(t).Addr()
	}
	p, err := servers.Redis{Dir: t.TempDir()}.Process()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	running, err := servers.Start(ctx, p, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(running.Kill)
	say("redis", p.About)
	u, err := url.Parse(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}
