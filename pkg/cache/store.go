package cache

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/ballast/pkg/resilience"
)

// state is how far an entry can be used.
type state int

const (
	absent state = iota // the source must be asked
	fresh
	ageing  // too old, but only a little
	invalid // old, or invalidated: to fall back on
)

// lookup reads a key and judges what is there. It counts all but what is ageing,
// of which is not decided yet what becomes.
func (c *Cache[K, V]) lookup(ctx context.Context, name string) (Answer[V], state) {
	var none Answer[V]
	b, err := resilience.Do(ctx, c.cfg.Redis.guard, func(ctx context.Context) ([]byte, error) {
		return c.cfg.Redis.Client.Get(ctx, name).Bytes()
	})
	if err != nil {
		c.metrics.count(ctx, missOrError(err))
		return none, absent
	}
	e, err := decode(b)
	if err != nil {
		c.metrics.count(ctx, resultError)
		return none, absent
	}
	trusted := e.asOf.UnixMilli() > c.distrusted.Load()
	age := max(0, time.Since(e.asOf))
	held := Answer[V]{Freshness: Freshness{Cached: true, Age: age}, Found: e.kind != kindNone}
	if e.kind == kindNone {
		if !trusted {
			c.metrics.count(ctx, resultMiss)
			return none, absent
		}
		c.metrics.count(ctx, resultNegative)
		return held, fresh
	}
	if len(e.value) == 0 {
		c.metrics.count(ctx, resultMiss)
		return none, absent
	}
	if held.Value, err = c.cfg.Decode(e.value); err != nil {
		c.metrics.count(ctx, resultError)
		return none, absent
	}
	until := c.cfg.TTL - c.jitter(name, c.cfg.TTL)
	switch {
	case e.kind == kindTomb || !trusted || age > until+c.cfg.Revalidate:
		c.metrics.count(ctx, resultMiss)
		return held, invalid
	case age > until:
		return held, ageing
	default:
		c.metrics.count(ctx, resultHit)
		return held, fresh
	}
}

func missOrError(err error) int {
	if errors.Is(err, redis.Nil) {
		return resultMiss
	}
	return resultError
}

func (c *Cache[K, V]) put(ctx context.Context, name string, e entry, ttl time.Duration) {
	stored, err := resilience.Do(ctx, c.cfg.Redis.guard, func(ctx context.Context) (int64, error) {
		return putScript.Run(ctx, c.cfg.Redis.Client, []string{name}, e.encode(), strconv.FormatInt(ttl.Milliseconds(), 10)).Int64()
	})
	switch {
	case err != nil:
		c.metrics.count(ctx, resultError)
	case stored == 0:
		c.metrics.count(ctx, resultRefused)
	}
}

// Change is a new version of what lies under a key; it must be committed.
type Change[K comparable] struct {
	Key     K
	Version int64
}

// maxInvalidated bounds the keys of one script: Redis does nothing else while it
// runs, about 2 us a key.
const maxInvalidated = 256

// Invalidate forgets what is older than these versions, after the transactions
// that made them have committed; versions that come late or twice change nothing.
// It leaves a mark behind: a reader who loaded an older version before the commit
// can't store it after. When Redis can't be told, nothing that this process reads
// there and that was stored before now counts as fresh any more.
func (c *Cache[K, V]) Invalidate(ctx context.Context, changes ...Change[K]) {
	for chunk := range slices.Chunk(changes, maxInvalidated) {
		names, args := make([]string, len(chunk)), make([]any, len(chunk)+1)
		for i, change := range chunk {
			names[i], args[i] = c.name(change.Key), digits(change.Version)
		}
		args[len(chunk)] = c.tombTTL().Milliseconds()
		_, err := resilience.Do(ctx, c.cfg.Redis.guard, func(ctx context.Context) (any, error) {
			return invalidateScript.Run(ctx, c.cfg.Redis.Client, names, args...).Result()
		})
		if err != nil {
			c.distrusted.Store(time.Now().UnixMilli())
			c.metrics.count(ctx, resultError)
		} else {
			c.metrics.invalidated(ctx, len(chunk))
		}
		// Whoever asks from now on must not share what was looked up before.
		for _, name := range names {
			c.flight.Forget(name)
			c.flight.Forget(refreshing + name)
		}
	}
}

// tombTTL is how long an invalidation is remembered: longer than a load that
// began before it can take, and its storing.
func (c *Cache[K, V]) tombTTL() time.Duration { return 2*c.cfg.LoadTimeout + time.Second }
