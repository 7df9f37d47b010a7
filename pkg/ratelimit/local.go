package ratelimit

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxLocal bounds the buckets that a process keeps while Redis is away, about
// 4 MB. Beyond it those that were not used lately are forgotten, and with them
// what their customers had used up: a burst at most.
const maxLocal = 32 << 10

// local are the buckets of one process. They lie in two generations: when the
// young one is full the old one is dropped.
type local struct {
	limit int // of one generation

	mu         sync.Mutex
	young, old map[string]*rate.Limiter
}

func (l *local) take(customer string, limit Limit, now time.Time) verdict {
	bucket := l.bucket(customer, limit)
	if bucket.Limit() != rate.Limit(limit.Rate) || bucket.Burst() != limit.Burst {
		bucket.SetLimitAt(now, rate.Limit(limit.Rate))
		bucket.SetBurstAt(now, limit.Burst)
	}
	ok := bucket.AllowN(now, 1)
	tokens := bucket.TokensAt(now)
	v := verdict{ok: ok, remaining: max(0, int(tokens)), full: limit.duration(float64(limit.Burst) - tokens)}
	if !ok {
		v.retry = limit.duration(1 - tokens)
	}
	return v
}

func (l *local) bucket(customer string, limit Limit) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b, ok := l.young[customer]; ok {
		return b
	}
	if l.young == nil || len(l.young) >= l.limit {
		l.old, l.young = l.young, make(map[string]*rate.Limiter)
	}
	b, ok := l.old[customer]
	if !ok {
		b = rate.NewLimiter(rate.Limit(limit.Rate), limit.Burst)
	}
	l.young[customer] = b
	return b
}
