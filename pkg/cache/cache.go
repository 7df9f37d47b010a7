// Package cache is cache-aside on Redis: read the cache, else the source, and
// store what the source said.
//
//   - It is never the truth: with Redis down, slow, empty or full, answers are
//     right and only slower. Nothing that decides money or stock reads it.
//   - Concurrent reads of one key make one load (per process), and all loads
//     together are bounded, so that losing Redis can't sink the database.
//   - An older version never replaces a newer one: a slow reader can't put back
//     what a writer has invalidated since.
//   - Times to live are jittered, so that what was stored together does not
//     expire together.
package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"example.com/ballast/pkg/resilience"
)

// ErrOverloaded is returned when the bound on loads is reached and stays so for
// as long as the caller waits.
var ErrOverloaded = errors.New("too many loads from the source")

// Config of a Cache. Zero durations and bounds mean the defaults given here.
type Config[K comparable, V any] struct {
	// Name prefixes the keys and marks the metrics: "product". Required.
	Name string
	// Client from Open. Required.
	Client redis.UniversalClient
	// Logger takes one line per change of the breaker in front of Redis. Required.
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
	// TTL of values, default 5m, and of the knowledge that there is nothing,
	// default 10s: what does not exist may be made at any moment.
	TTL, NegativeTTL time.Duration
	// MaxLoads bounds concurrent loads; default 8. LoadTimeout bounds one with the
	// wait for its turn, default 2s.
	MaxLoads    int64
	LoadTimeout time.Duration
}

// tombTTL is how long an invalidation is remembered: longer than a load that
// began before it can take.
const tombTTL = 30 * time.Second

// Cache is a typed view of one kind of value. It is safe for concurrent use.
type Cache[K comparable, V any] struct {
	cfg     Config[K, V]
	guard   *resilience.Guard
	script  *redis.Script
	flight  singleflight.Group
	loads   *semaphore.Weighted
	metrics metrics
}

// New returns a cache.
func New[K comparable, V any](cfg Config[K, V]) (*Cache[K, V], error) {
	if cfg.Name == "" || cfg.Client == nil || cfg.Logger == nil || cfg.Key == nil ||
		cfg.Encode == nil || cfg.Decode == nil || cfg.Version == nil || cfg.Load == nil {
		return nil, errors.New("cache: Name, Client, Logger, Key, Encode, Decode, Version and Load are required")
	}
	cfg.TTL = orDefault(cfg.TTL, 5*time.Minute)
	cfg.NegativeTTL = orDefault(cfg.NegativeTTL, 10*time.Second)
	cfg.MaxLoads = orDefault(cfg.MaxLoads, 8)
	cfg.LoadTimeout = orDefault(cfg.LoadTimeout, 2*time.Second)
	guard, err := resilience.New(resilience.Config{
		Name: "redis " + cfg.Name, Logger: cfg.Logger, Timeout: dialTimeout, OpenFor: time.Second,
		Failure: func(err error) bool { return !errors.Is(err, redis.Nil) },
	})
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(cfg.Name)
	if err != nil {
		return nil, fmt.Errorf("cache %s: %w", cfg.Name, err)
	}
	return &Cache[K, V]{cfg: cfg, guard: guard, script: redis.NewScript(putScript), loads: semaphore.NewWeighted(cfg.MaxLoads), metrics: m}, nil
}

// Get returns the value of a key, or false when the source has none. Its error
// is the source's, the context's, or ErrOverloaded; never one of Redis. Callers
// who ask for a key at the same time share one answer: don't change it.
func (c *Cache[K, V]) Get(ctx context.Context, key K) (V, bool, error) {
	name := c.name(key)
	type result struct {
		value V
		found bool
	}
	// The work belongs to all who wait for it: it does not end with the first
	// one's context, it has a time of its own. Looking Redis up is part of it, or
	// one who missed there would load again what another has just stored.
	ch := c.flight.DoChan(name, func() (shared any, err error) {
		// singleflight ends the process on a panic, beyond the caller's recovery.
		defer func() {
			if r := recover(); r != nil {
				c.cfg.Logger.ErrorContext(ctx, "panic in cache", "cache", c.cfg.Name, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
				err = fmt.Errorf("cache %s: panic: %v", c.cfg.Name, r)
			}
		}()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.LoadTimeout)
		defer cancel()
		got, kind, ok := c.read(ctx, name)
		if ok {
			return result{got, kind == kindValue}, nil
		}
		got, found, err := c.load(ctx, name, key)
		return result{got, found}, err
	})
	var none V
	select {
	case r := <-ch:
		if r.Err != nil {
			return none, false, r.Err
		}
		got, ok := r.Val.(result)
		return got.value, ok && got.found, nil
	case <-ctx.Done():
		return none, false, ctx.Err()
	}
}

// Set stores a value after the transaction that made it has committed. It is
// best effort: an error is counted, and the time to live heals what is stale.
func (c *Cache[K, V]) Set(ctx context.Context, key K, v V) {
	b, err := c.cfg.Encode(v)
	if err != nil {
		c.metrics.count(ctx, resultError)
		return
	}
	c.put(ctx, c.name(key), encode(c.cfg.Version(v), kindValue, b), jitter(c.cfg.TTL))
}

// Invalidate forgets a key after the transaction that made the version has
// committed. It leaves a mark behind: a reader who loaded an older version
// before the commit can't store it after.
func (c *Cache[K, V]) Invalidate(ctx context.Context, key K, version int64) {
	c.put(ctx, c.name(key), encode(version, kindTomb, nil), tombTTL)
}

// read looks a key up. It is false when the source must be asked.
func (c *Cache[K, V]) read(ctx context.Context, name string) (v V, kind byte, ok bool) {
	b, err := resilience.Do(ctx, c.guard, func(ctx context.Context) ([]byte, error) {
		return c.cfg.Client.Get(ctx, name).Bytes()
	})
	if err != nil {
		if errors.Is(err, redis.Nil) {
			c.metrics.count(ctx, resultMiss)
		} else {
			c.metrics.count(ctx, resultError)
		}
		return v, 0, false
	}
	_, kind, value, err := decode(b)
	if err == nil && kind == kindValue {
		v, err = c.cfg.Decode(value)
	}
	switch {
	case err != nil:
		c.metrics.count(ctx, resultError)
		return v, 0, false
	case kind == kindTomb:
		c.metrics.count(ctx, resultMiss)
		return v, 0, false
	case kind == kindNone:
		c.metrics.count(ctx, resultNegative)
	default:
		c.metrics.count(ctx, resultHit)
	}
	return v, kind, true
}

// load reads the source and stores what it said.
func (c *Cache[K, V]) load(ctx context.Context, name string, key K) (V, bool, error) {
	var none V
	if err := c.loads.Acquire(ctx, 1); err != nil {
		c.metrics.count(ctx, resultOverload)
		return none, false, fmt.Errorf("cache %s: %w", c.cfg.Name, ErrOverloaded)
	}
	v, found, err := c.loadOnce(ctx, key)
	if err != nil {
		return none, false, err
	}
	if !found {
		c.put(ctx, name, encode(0, kindNone, nil), jitter(c.cfg.NegativeTTL))
		return none, false, nil
	}
	c.Set(ctx, key, v)
	return v, true, nil
}

func (c *Cache[K, V]) loadOnce(ctx context.Context, key K) (V, bool, error) {
	defer c.loads.Release(1)
	began := time.Now()
	v, found, err := c.cfg.Load(ctx, key)
	c.metrics.loaded(ctx, time.Since(began), err)
	return v, found, err
}

func (c *Cache[K, V]) put(ctx context.Context, name string, entry []byte, ttl time.Duration) {
	stored, err := resilience.Do(ctx, c.guard, func(ctx context.Context) (int64, error) {
		return c.script.Run(ctx, c.cfg.Client, []string{name}, entry, strconv.FormatInt(ttl.Milliseconds(), 10)).Int64()
	})
	switch {
	case err != nil:
		c.metrics.count(ctx, resultError)
	case stored == 0:
		c.metrics.count(ctx, resultStale)
	}
}

func (c *Cache[K, V]) name(key K) string { return c.cfg.Name + ":" + c.cfg.Key(key) }

// jitter shortens a time by up to a fifth.
func jitter(ttl time.Duration) time.Duration {
	return ttl - rand.N(ttl/5+1)
}

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
