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
	"example.com/ballast/pkg/resilience"
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

	// fail makes every load an error.
	fail             atomic.Bool
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
	if s.fail.Load() {
		return item{}, false, errSource
	}
	return it, found, ctx.Err()
}

type bundle struct {
	*cache.Cache[string, item]

	source *source
	redis  *cache.Redis
	client *redis.Client
	name   string
}

func setup(t testing.TB, addr string, change func(*cache.Config[string, item])) *bundle {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	server, err := cache.Connect("redis://"+addr+"/0", logger)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	b := &bundle{source: &source{items: map[string]item{}}, redis: server, client: server.Client, name: testkit.Unique(t, "item")}
	cfg := cache.Config[string, item]{
		Name: b.name, Redis: server, Logger: logger,
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
	got, err := b.Get(t.Context(), key)
	if err != nil || got.Found != (text != "") || got.Value.text != text {
		t.Errorf("got %q, %t, %v, want %q", got.Value.text, got.Found, err, text)
	}
	if n := b.source.loads.Load(); n != loads {
		t.Errorf("%d loads, want %d", n, loads)
	}
}

// invalidate announces a committed version.
func (b *bundle) invalidate(t *testing.T, key string, version int64) {
	t.Helper()
	b.Invalidate(t.Context(), cache.Change[string]{Key: key, Version: version})
}

func TestCacheAside(t *testing.T) {
	t.Parallel()
	b := setup(t, testkit.Redis(t), nil)
	b.want(t, "a", "", 1) // nothing is there, and that is remembered
	b.want(t, "a", "", 1)
	b.source.set("a", item{1, "one"})
	b.invalidate(t, "a", 1) // until it is made
	b.want(t, "a", "one", 2)
	b.want(t, "a", "one", 2)
	b.source.set("a", item{4, "four"})
	b.invalidate(t, "a", 4)
	b.want(t, "a", "four", 3)
	b.want(t, "a", "four", 3)
	b.invalidate(t, "a", 3) // an event that arrives twice or late costs nothing
	b.invalidate(t, "a", 4)
	b.want(t, "a", "four", 3)
	if err := b.client.Del(t.Context(), b.name+":a").Err(); err != nil { // evicted or flushed
		t.Fatal(err)
	}
	b.want(t, "a", "four", 4)
}

// A whole batch of changes is forgotten, however many scripts that takes.
func TestManyAreInvalidatedAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, testkit.Redis(t), nil)
	const n = 600
	var changes []cache.Change[string]
	for i := range n {
		key := strconv.Itoa(i)
		b.source.set(key, item{1, "old"})
		b.want(t, key, "old", int64(i+1))
		b.source.set(key, item{2, "new"})
		changes = append(changes, cache.Change[string]{Key: key, Version: 2})
	}
	b.Invalidate(t.Context(), changes...)
	for i := range n {
		b.want(t, strconv.Itoa(i), "new", int64(n+i+1))
	}
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
			b.Invalidate(ctx, cache.Change[string]{Key: "a", Version: 2})
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
		_, err := b.Get(first, "a")
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
			if got, err := b.Get(t.Context(), "a"); err != nil || got.Value.text != "one" {
				t.Errorf("%v, %v", got, err)
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
			if got, err := b.Get(t.Context(), key); err != nil || got.Value.text != "v"+key {
				t.Errorf("%s: %v, %v", key, got, err)
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
		wg.Go(func() { _, _ = b.Get(t.Context(), strconv.Itoa(i)) })
	}
	wg.Wait()
	began := time.Now()
	b.source.set("a", item{1, "one"})
	if got, err := b.Get(t.Context(), "a"); err != nil || got.Value.text != "one" {
		t.Errorf("%v, %v", got, err)
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
			_, err := b.Get(t.Context(), key)
			errs <- err
		}()
	}
	// The one that got the only place still holds it.
	err := <-errs
	if !errors.Is(err, cache.ErrOverloaded) {
		t.Errorf("%v, want overloaded", err)
	}
	// Which is what the edge tells clients to come back for.
	if refused, ok := errors.AsType[*resilience.Refused](err); !ok || refused.After <= 0 {
		t.Errorf("%v does not say when to come back", err)
	}
	close(release)
	<-errs
}

func TestPanicInALoadIsAnError(t *testing.T) {
	t.Parallel()
	b := setup(t, "127.0.0.1:1", nil)
	b.source.during = func(context.Context) { panic(errors.New("boom")) }
	if _, err := b.Get(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "panic: boom") {
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
	for i, entry := range []string{"", "short", "notanumbernotanumberv1/x", "00000000000000000001v9999999999999undecodable", "00000000000000000001?9999999999999x", "00000000000000000001vnotanumber?!?x"} {
		if err := b.client.Set(t.Context(), b.name+":a", entry, time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
		b.want(t, "a", "seven", int64(i+1))
	}
}

func TestOpenHidesThePassword(t *testing.T) {
	t.Parallel()
	if _, err := cache.Open("http://:canary@host"); err == nil || containsCanary(err) {
		t.Errorf("%v", err)
	}
	if _, err := cache.Connect("redis://:canary@ho st", slog.New(slog.DiscardHandler)); err == nil || containsCanary(err) {
		t.Errorf("%v", err)
	}
	if _, err := cache.New(cache.Config[string, item]{}); err == nil {
		t.Error("a cache without a name")
	}
}

func containsCanary(err error) bool { return strings.Contains(err.Error(), "canary") }
