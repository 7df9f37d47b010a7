package cache_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/ballast/pkg/cache"
	"example.com/ballast/pkg/testkit"
)

// item is what is cached: a version and something to see.
type item struct {
	version int64
	text    string
}

// source is a database that counts how it is read.
type source struct {
	mu    sync.Mutex
	items map[string]item
	// during runs inside every load, after the row was read.
	during func(ctx context.Context)

	loads, now, most atomic.Int64
}

func (s *source) set(key string, it item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items[key] = it
}

func (s *source) load(ctx context.Context, key string) (item, bool, error) {
	s.loads.Add(1)
	now := s.now.Add(1)
	defer s.now.Add(-1)
	for most := s.most.Load(); now > most && !s.most.CompareAndSwap(most, now); most = s.most.Load() {
	}
	s.mu.Lock()
	it, found := s.items[key]
	s.mu.Unlock()
	if s.during != nil {
		s.during(ctx)
	}
	return it, found, ctx.Err()
}

type bundle struct {
	*cache.Cache[string, item]

	source *source
	client *redis.Client
	name   string
}

func setup(t *testing.T, addr string, change func(*cache.Config[string, item])) *bundle {
	t.Helper()
	client, err := cache.Open("redis://" + addr + "/0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	b := &bundle{source: &source{items: map[string]item{}}, client: client, name: testkit.Unique(t, "item")}
	cfg := cache.Config[string, item]{
		Name: b.name, Client: client, Logger: slog.New(slog.DiscardHandler),
		Key:     func(k string) string { return k },
		Encode:  func(it item) ([]byte, error) { return fmt.Appendf(nil, "%d/%s", it.version, it.text), nil },
		Decode:  decode,
		Version: func(it item) int64 { return it.version },
		Load:    b.source.load,
	}
	if change != nil {
		change(&cfg)
	}
	b.Cache, err = cache.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decode(b []byte) (item, error) {
	var it item
	_, err := fmt.Sscanf(string(b), "%d/%s", &it.version, &it.text)
	return it, err
}

// want gets a key and compares what it says and how often the source was read.
func (b *bundle) want(t *testing.T, key, text string, loads int64) {
	t.Helper()
	it, found, err := b.Get(t.Context(), key)
	if err != nil || found != (text != "") || it.text != text {
		t.Errorf("got %q, %t, %v, want %q", it.text, found, err, text)
	}
	if got := b.source.loads.Load(); got != loads {
		t.Errorf("%d loads, want %d", got, loads)
	}
}

func TestCacheAside(t *testing.T) {
	t.Parallel()
	b := setup(t, testkit.Redis(t), nil)
	ctx := t.Context()
	b.want(t, "a", "", 1) // nothing is there, and that is remembered
	b.want(t, "a", "", 1)
	b.source.set("a", item{1, "one"})
	b.Set(ctx, "a", item{1, "one"}) // a value ends the memory of nothing
	b.want(t, "a", "one", 1)
	b.Set(ctx, "a", item{3, "three"})
	b.want(t, "a", "three", 1)
	b.Set(ctx, "a", item{2, "two"}) // too late
	b.want(t, "a", "three", 1)
	b.source.set("a", item{4, "four"})
	b.Invalidate(ctx, "a", 4)
	b.want(t, "a", "four", 2)
	b.want(t, "a", "four", 2)
	b.Invalidate(ctx, "a", 3) // an event that arrives twice or late costs nothing
	b.want(t, "a", "four", 2)
	if err := b.client.Del(ctx, b.name+":a").Err(); err != nil { // evicted or flushed
		t.Fatal(err)
	}
	b.want(t, "a", "four", 3)
}

// A reader has read version 1; before it stores it, version 2 commits and
// invalidates. The reader must not put version 1 back.
func TestLateReaderCannotStoreAStaleValue(t *testing.T) {
	t.Parallel()
	b := setup(t, testkit.Redis(t), nil)
	b.source.set("a", item{1, "one"})
	var once sync.Once
	b.source.during = func(ctx context.Context) {
		once.Do(func() {
			b.source.set("a", item{2, "two"})
			b.Invalidate(ctx, "a", 2)
		})
	}
	b.want(t, "a", "one", 1) // it began before the commit
	b.want(t, "a", "two", 2)
	b.want(t, "a", "two", 2)
}

func TestStampedeMakesOneLoad(t *testing.T) {
	t.Parallel()
	b := setup(t, testkit.Redis(t), nil)
	b.source.set("a", item{1, "one"})
	release := make(chan struct{})
	b.source.during = func(context.Context) { <-release }
	// The one who started the load leaves; it goes on for the others.
	first, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, _, err := b.Get(first, "a")
		left <- err
	}()
	for b.source.now.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller who left got %v", err)
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if it, found, err := b.Get(t.Context(), "a"); err != nil || !found || it.text != "one" {
				t.Errorf("%v, %t, %v", it, found, err)
			}
		})
	}
	close(release)
	wg.Wait()
	if n := b.source.loads.Load(); n != 1 {
		t.Errorf("%d loads, want 1", n)
	}
}

func TestRedisDownBoundsTheLoads(t *testing.T) {
	t.Parallel()
	b := setup(t, "127.0.0.1:1", func(c *cache.Config[string, item]) { c.MaxLoads = 3 })
	b.source.during = func(context.Context) { time.Sleep(time.Millisecond) }
	var wg sync.WaitGroup
	for i := range 100 {
		key := strconv.Itoa(i)
		b.source.set(key, item{1, "v" + key})
		wg.Go(func() {
			if it, found, err := b.Get(t.Context(), key); err != nil || !found || it.text != "v"+key {
				t.Errorf("%s: %v, %t, %v", key, it, found, err)
			}
		})
	}
	wg.Wait()
	if most := b.source.most.Load(); most > 3 {
		t.Errorf("%d loads at once, want at most 3", most)
	}
}

// Redis takes connections and never answers: after the breaker has opened,
// reads are as fast as the source.
func TestRedisHangsAndIsLeftAlone(t *testing.T) {
	t.Parallel()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	b := setup(t, ln.Addr().String(), nil)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() { _, _, _ = b.Get(t.Context(), strconv.Itoa(i)) })
	}
	wg.Wait()
	began := time.Now()
	b.source.set("a", item{1, "one"})
	if it, _, err := b.Get(t.Context(), "a"); err != nil || it.text != "one" {
		t.Errorf("%v, %v", it, err)
	}
	if took := time.Since(began); took > 90*time.Millisecond {
		t.Errorf("took %v, as long as a Redis that hangs", took)
	}
}

func TestOverloadIsAnError(t *testing.T) {
	t.Parallel()
	b := setup(t, "127.0.0.1:1", func(c *cache.Config[string, item]) { c.MaxLoads, c.LoadTimeout = 1, 50*time.Millisecond })
	release := make(chan struct{})
	b.source.during = func(context.Context) { <-release }
	errs := make(chan error, 2)
	for _, key := range []string{"a", "b"} {
		go func() {
			_, _, err := b.Get(t.Context(), key)
			errs <- err
		}()
	}
	// The one that got the only place still holds it.
	if err := <-errs; !errors.Is(err, cache.ErrOverloaded) {
		t.Errorf("%v, want overloaded", err)
	}
	close(release)
	<-errs
}

func TestPanicInALoadIsAnError(t *testing.T) {
	t.Parallel()
	b := setup(t, "127.0.0.1:1", nil)
	b.source.during = func(context.Context) { panic("boom") }
	if _, _, err := b.Get(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "panic: boom") {
		t.Errorf("%v", err)
	}
	b.source.during = nil
	b.source.set("a", item{1, "one"})
	b.want(t, "a", "one", 2)
}

func TestBrokenEntryIsReadFromTheSource(t *testing.T) {
	t.Parallel()
	b := setup(t, testkit.Redis(t), nil)
	b.source.set("a", item{7, "seven"})
	for i, entry := range []string{"", "short", "notanumbernotanumberv1/x", "00000000000000000001v" + "undecodable", "00000000000000000001?"} {
		if err := b.client.Set(t.Context(), b.name+":a", entry, time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
		b.want(t, "a", "seven", int64(i+1))
	}
}

func TestTimesToLiveAreSpread(t *testing.T) {
	t.Parallel()
	b := setup(t, testkit.Redis(t), func(c *cache.Config[string, item]) { c.TTL = 100 * time.Second })
	least, most := time.Hour, time.Duration(0)
	for i := range 50 {
		key := strconv.Itoa(i)
		b.Set(t.Context(), key, item{1, "x"})
		ttl, err := b.client.PTTL(t.Context(), b.name+":"+key).Result()
		if err != nil {
			t.Fatal(err)
		}
		least, most = min(least, ttl), max(most, ttl)
	}
	if least < 79*time.Second || most > 100*time.Second || most-least < 5*time.Second {
		t.Errorf("from %v to %v, want spread between 80s and 100s", least, most)
	}
}

func TestOpenHidesThePassword(t *testing.T) {
	t.Parallel()
	if _, err := cache.Open("http://:canary@host"); err == nil || containsCanary(err) {
		t.Errorf("%v", err)
	}
	if _, err := cache.Open("redis://:canary@ho st"); err == nil || containsCanary(err) {
		t.Errorf("%v", err)
	}
	if _, err := cache.New(cache.Config[string, item]{}); err == nil {
		t.Error("a cache without a name")
	}
}

func containsCanary(err error) bool { return strings.Contains(err.Error(), "canary") }
