package cache_test

import (
	"context"
	"io"
	"log/slog"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"example.com/ballast/pkg/cache"
	"example.com/ballast/pkg/servers"
)

// small starts a Redis that holds few entries and evicts, as the stack's do.
func small(t *testing.T) (address string) {
	t.Helper()
	p, err := servers.Redis{Dir: t.TempDir(), MaxMemory: "3mb", Policy: "allkeys-lfu"}.Process()
	if err != nil {
		t.Fatal(err)
	}
	server, err := servers.Start(t.Context(), p, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill)
	return strings.TrimSuffix(strings.TrimPrefix(p.URL, "redis://"), "/0")
}

// neighbour reads far more distinct keys than its cache can hold, each a few times.
func neighbour(t *testing.T, address string) cache.Info {
	t.Helper()
	redis, err := cache.Connect("redis://"+address+"/1", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Close() })
	page := strings.Repeat("x", 4000)
	c, err := cache.New(cache.Config[int, string]{
		Name: "page", Redis: redis, Logger: slog.New(slog.DiscardHandler), Key: strconv.Itoa,
		Encode:  func(s string) ([]byte, error) { return []byte(s), nil },
		Decode:  func(b []byte) (string, error) { return string(b), nil },
		Version: func(string) int64 { return 1 },
		Load:    func(context.Context, int) (string, bool, error) { return page, true, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		for range 3 {
			if _, err := c.Get(t.Context(), i); err != nil {
				t.Fatal(err)
			}
		}
	}
	info, err := redis.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// A neighbour fills its cache. With a Redis of its own that costs the victim
// nothing; in a shared one it throws the victim's entries out. This is why every
// service has its own.
func TestANeighboursChurn(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Log("redis-server is not installed: eviction is not shown")
		return
	}
	const keys = 300
	lost := func(t *testing.T, shared bool) int64 {
		address := small(t)
		b := setup(t, address, nil)
		for i := range keys {
			b.source.set(strconv.Itoa(i), item{1, "v"})
			b.want(t, strconv.Itoa(i), "v", int64(i+1))
		}
		if !shared {
			address = small(t)
		}
		if info := neighbour(t, address); info.Evicted == 0 {
			t.Error("the neighbour's cache did not overflow")
		}
		for i := range keys {
			if _, err := b.Get(t.Context(), strconv.Itoa(i)); err != nil {
				t.Fatal(err)
			}
		}
		return b.source.loads.Load() - keys
	}
	t.Run("own", func(t *testing.T) {
		t.Parallel()
		if n := lost(t, false); n > 0 {
			t.Errorf("the neighbour cost %d of %d entries", n, keys)
		}
	})
	t.Run("shared", func(t *testing.T) {
		t.Parallel()
		if n := lost(t, true); n < keys/2 {
			t.Errorf("a shared Redis lost %d of %d entries: the churn shows nothing", n, keys)
		} else {
			t.Logf("%d of %d entries were lost to the neighbour", n, keys)
		}
	})
}
