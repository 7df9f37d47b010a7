// Package cache is cache-aside on Redis: read the cache, else the source, and
// store what the source said.
//
//   - It is never the truth: with Redis down, slow, empty or full, answers are
//     right and only slower. Nothing that decides money or stock reads it.
//
//   - Concurrent reads of one key make one load (per process), and all loads
//     together are bounded, so that losing Redis can't sink the database.
//
//   - An older version never replaces a newer one: a slow reader can't put back
//     what a writer has invalidated since. When an invalidation could not be
//     stored, nothing that was read before it is trusted any more.
//
//   - Times to live are jittered, so that what was stored together does not
//     expire together.
//
//   - An answer has an age. One that is a little too old is given at once, and one
//     load refreshes it in the background; one that is older or was invalidated is
//     given only when the source fails or is slow:
//
//     age  0 ........ TTL ....... +Revalidate ............... +StaleFor
//     fresh    stale, refreshed      the source, else stale       gone
package cache

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"example.com/ballast/pkg/resilience"
	"example.com/ballast/pkg/telemetry"
)

// ErrOverloaded is returned, in a resilience.Refused, when the bound on loads is
// reached and stays so for as long as the caller waits.
var ErrOverloaded = errors.New("too many loads from the source")

// overloadedAfter is when to come back. By judgement: a load takes milliseconds.
const overloadedAfter = time.Second

// Config of a Cache. Zero durations and bounds mean the defaults given here; they
// are chosen by judgement.
type Config[K comparable, V any] struct {
	// Name prefixes the keys and marks the metrics: "product". Required.
	Name string
	// Redis is the service's own. Required.
	Redis *Redis
	// Logger takes panics, and a line now and then while answers are stale because
	// the source fails. Required.
	Logger *slog.Logger
	// Key writes a key as text. Required.
	Key func(K) string
	// Encode and Decode turn values into bytes and back. Required. Change the Name
	// when their format changes.
	Encode func(V) ([]byte, error)
	Decode func([]byte) (V, error)
	// Version of a value, rising with every change, from 1. Required.
	Version func(V) int64
	// Load reads the source; false means that there is nothing. Required.
	Load func(context.Context, K) (V, bool, error)
	// Stale allows answers that are not fresh: a feature flag. Nil allows none.
	Stale func(context.Context, K) bool
	// TTL is for how long a value is fresh, less a jitter; default 5m. NegativeTTL
	// is the same for the knowledge that there is nothing, default 10s: what does
	// not exist may be made at any moment.
	TTL, NegativeTTL time.Duration
	// Revalidate is for how much longer a value is given at once while it is
	// refreshed; default 1m. StaleFor is for how much longer it may take the place
	// of an error; default 1h.
	Revalidate, StaleFor time.Duration
	// Patience is how long a caller waits for the source when there is an old value
	// to fall back on; default 200ms.
	Patience time.Duration
	// MaxLoads bounds concurrent loads; default 8. LoadTimeout bounds one with the
	// wait for its turn, default 2s.
	MaxLoads    int64
	LoadTimeout time.Duration
}

// Cache is a typed view of one kind of value. It is safe for concurrent use.
type Cache[K comparable, V any] struct {
	cfg     Config[K, V]
	flight  singleflight.Group
	loads   *semaphore.Weighted
	metrics *metrics
	// distrusted is the time, in Unix milliseconds, of the latest invalidation that
	// could not be stored.
	distrusted atomic.Int64
	lastSaid   atomic.Int64 // when the logger was last told of stale answers
}

// Freshness says how far an answer can be relied on.
type Freshness struct {
	// Cached tells that the answer is not from the source.
	Cached bool
	// Stale tells that the source may say something else by now.
	Stale bool
	// Age is how long ago the source said so; zero when it was asked just now.
	Age time.Duration
}

// Answer is what a Get found.
type Answer[V any] struct {
	Freshness

	Value V
	// Found is false when the source has nothing.
	Found bool
}

// New returns a cache.
func New[K comparable, V any](cfg Config[K, V]) (*Cache[K, V], error) {
	if cfg.Name == "" || cfg.Redis == nil || cfg.Logger == nil || cfg.Key == nil ||
		cfg.Encode == nil || cfg.Decode == nil || cfg.Version == nil || cfg.Load == nil {
		return nil, errors.New("cache: Name, Redis, Logger, Key, Encode, Decode, Version and Load are required")
	}
	cfg.TTL = orDefault(cfg.TTL, 5*time.Minute)
	cfg.NegativeTTL = orDefault(cfg.NegativeTTL, 10*time.Second)
	cfg.Revalidate = orDefault(cfg.Revalidate, time.Minute)
	cfg.StaleFor = orDefault(cfg.StaleFor, time.Hour)
	cfg.Patience = orDefault(cfg.Patience, 200*time.Millisecond)
	cfg.MaxLoads = orDefault(cfg.MaxLoads, 8)
	cfg.LoadTimeout = orDefault(cfg.LoadTimeout, 2*time.Second)
	if cfg.Stale == nil {
		cfg.Stale = func(context.Context, K) bool { return false }
	}
	m := newMetrics(cfg.Name)
	cfg.Redis.add(cfg.Name, m)
	return &Cache[K, V]{cfg: cfg, loads: semaphore.NewWeighted(cfg.MaxLoads), metrics: m}, nil
}

// Get returns the value of a key. Its error is the source's, the context's, or
// ErrOverloaded; never one of Redis. Callers who ask for a key at the same time
// share one answer: don't change it.
func (c *Cache[K, V]) Get(ctx context.Context, key K) (Answer[V], error) {
	// Looking Redis up is part of what is shared, or one who missed there would load
	// again what another has just stored.
	name := c.name(key)
	shared := c.once(ctx, name, func(ctx context.Context) (Answer[V], error) { return c.get(ctx, name, key) })
	select {
	case r := <-shared:
		return result[V](r)
	case <-ctx.Done():
		return Answer[V]{}, ctx.Err()
	}
}

func (c *Cache[K, V]) get(ctx context.Context, name string, key K) (Answer[V], error) {
	held, state := c.lookup(ctx, name)
	if state == fresh {
		return held, nil
	}
	if state == absent || !c.cfg.Stale(ctx, key) {
		if state == ageing {
			c.metrics.count(ctx, resultMiss)
		}
		return c.load(ctx, name, key)
	}
	held.Stale = true
	refresh := c.once(ctx, refreshing+name, func(ctx context.Context) (Answer[V], error) { return c.load(ctx, name, key) })
	if state == ageing {
		c.metrics.count(ctx, resultStale)
		return held, nil
	}
	patience := time.NewTimer(c.cfg.Patience)
	defer patience.Stop()
	cause := errors.New("the source is slow")
	select {
	case r := <-refresh:
		answer, err := result[V](r)
		if err == nil {
			return answer, nil
		}
		cause = err
	case <-patience.C:
	}
	c.metrics.count(ctx, resultDegraded)
	c.sayDegraded(ctx, cause)
	return held, nil
}

// refreshing marks the shared work of loading what is held but not fresh.
const refreshing = "refresh "

// once does the work for all who ask for it at the same time. It belongs to all
// who wait: it does not end with the first one's context, it has a time of its own.
func (c *Cache[K, V]) once(ctx context.Context, name string, work func(context.Context) (Answer[V], error)) <-chan singleflight.Result {
	return c.flight.DoChan(name, func() (shared any, err error) {
		// singleflight ends the process on a panic, beyond the caller's recovery.
		defer func() {
			if r := recover(); r != nil {
				c.cfg.Logger.ErrorContext(ctx, "panic in cache", "cache", c.cfg.Name, "panic", telemetry.PanicText(r), "stack", string(debug.Stack()))
				err = fmt.Errorf("cache %s: panic: %s", c.cfg.Name, telemetry.PanicText(r))
			}
		}()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.LoadTimeout)
		defer cancel()
		return work(ctx)
	})
}

func result[V any](r singleflight.Result) (Answer[V], error) {
	answer, _ := r.Val.(Answer[V])
	return answer, r.Err
}

// load reads the source and stores what it said.
func (c *Cache[K, V]) load(ctx context.Context, name string, key K) (Answer[V], error) {
	if err := c.loads.Acquire(ctx, 1); err != nil {
		c.metrics.count(ctx, resultOverload)
		// Callers are told to come back, as by any other bulkhead.
		return Answer[V]{}, &resilience.Refused{Dependency: "source of cache " + c.cfg.Name, After: overloadedAfter, Cause: ErrOverloaded}
	}
	// The age counts from before the source was asked.
	began := time.Now()
	v, found, err := c.loadOnce(ctx, key)
	c.metrics.loaded(ctx, time.Since(began), err)
	if err != nil {
		return Answer[V]{}, err
	}
	if !found {
		c.put(ctx, name, entry{kind: kindNone, asOf: began}, c.cfg.NegativeTTL-c.jitter(name, c.cfg.NegativeTTL))
		return Answer[V]{}, nil
	}
	content, err := c.cfg.Encode(v)
	if err != nil {
		c.metrics.count(ctx, resultError)
		return Answer[V]{Value: v, Found: true}, nil //nolint:nilerr // the value is right, only not cached
	}
	c.put(ctx, name, entry{version: c.cfg.Version(v), kind: kindValue, asOf: began, value: content}, c.keep())
	return Answer[V]{Value: v, Found: true}, nil
}

func (c *Cache[K, V]) loadOnce(ctx context.Context, key K) (V, bool, error) {
	defer c.loads.Release(1)
	return c.cfg.Load(ctx, key)
}

// sayEvery keeps an outage of the source from filling the log.
const sayEvery = 10 * time.Second

func (c *Cache[K, V]) sayDegraded(ctx context.Context, cause error) {
	last, now := c.lastSaid.Load(), time.Now().UnixMilli()
	if now-last >= sayEvery.Milliseconds() && c.lastSaid.CompareAndSwap(last, now) {
		c.cfg.Logger.WarnContext(ctx, "answers are stale", "cache", c.cfg.Name, "cause", cause)
	}
}

func (c *Cache[K, V]) name(key K) string { return c.cfg.Name + ":" + c.cfg.Key(key) }

// keep is for how long Redis keeps a value.
func (c *Cache[K, V]) keep() time.Duration { return c.cfg.TTL + c.cfg.Revalidate + c.cfg.StaleFor }

// jitter is up to a fifth of a time, always the same for one key.
func (c *Cache[K, V]) jitter(name string, ttl time.Duration) time.Duration {
	h := fnv.New32a()
	_, _ = io.WriteString(h, name)
	return time.Duration(float64(ttl) / 5 * float64(h.Sum32()%1000) / 1000)
}

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
