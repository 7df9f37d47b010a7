// Package ratelimit gives every customer a bucket of calls, which refills at a
// steady rate and holds a burst. The buckets lie in the service's own Redis, so
// that all its replicas take from the same one; while Redis is away each process
// counts for itself, and a customer of N replicas has up to N times the rate.
//
// Answers carry RateLimit-Policy and RateLimit, as in
// draft-ietf-httpapi-ratelimit-headers; a refusal is resource_exhausted (HTTP
// 429), reason RATE_LIMITED, with Retry-After.
package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/redis/go-redis/v9"

	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/resilience"
)

// Reason is the reason of a refusal, for programs.
const Reason = "RATE_LIMITED"

// defaultTimeout is by judgement: a round trip takes a tenth of a millisecond.
const defaultTimeout = 50 * time.Millisecond

// Limit of one customer.
type Limit struct {
	// Rate is the refill in calls a second.
	Rate float64
	// Burst is what the bucket holds.
	Burst int
}

// Validate tells what is wrong. A bucket that holds less than a second's refill
// would refuse customers who keep to their rate, whenever two calls come close
// together.
func (l Limit) Validate() error {
	switch {
	case !(l.Rate > 0) || math.IsInf(l.Rate, 1): // NaN too
		return fmt.Errorf("a rate of %g calls a second: want more than 0", l.Rate)
	case float64(l.Burst) < max(1, l.Rate):
		return fmt.Errorf("a burst of %d calls: want at least a second's refill, %g, and 1", l.Burst, l.Rate)
	}
	return nil
}

// Config of a Limiter.
type Config struct {
	// Client of the service's own Redis. Required.
	Client *redis.Client
	// Logger takes a line when Redis goes and when it is back. Required.
	Logger *slog.Logger
	// Limit now. It is asked at every call, so that it can be changed while the
	// service runs; one that is not valid changes nothing. Required.
	Limit func() Limit
	// Timeout is how long a slow Redis may hold up a call; 0 means 50ms.
	Timeout time.Duration
}

// Limiter holds customers to their limit.
type Limiter struct {
	cfg     Config
	guard   *resilience.Guard
	local   local
	away    away
	good    atomic.Pointer[Limit]
	metrics *metrics
}

// New returns a Limiter, registered with the global meter.
func New(cfg Config) (*Limiter, error) {
	if cfg.Client == nil || cfg.Logger == nil || cfg.Limit == nil {
		return nil, errors.New("ratelimit: Client, Logger and Limit are required")
	}
	limit := cfg.Limit()
	if err := limit.Validate(); err != nil {
		return nil, fmt.Errorf("ratelimit: %w", err)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	guard, err := resilience.New(resilience.Config{
		Name: "redis rate limits", Logger: cfg.Logger, Timeout: cfg.Timeout, OpenFor: time.Second, MaxWait: cfg.Timeout,
	})
	if err != nil {
		return nil, err
	}
	l := &Limiter{cfg: cfg, guard: guard, local: local{limit: maxLocal / 2}, metrics: newMetrics()}
	l.good.Store(&limit)
	return l, nil
}

// verdict is what a bucket says.
type verdict struct {
	ok bool
	// remaining calls that would be taken now.
	remaining int
	// full is when the bucket will be, if nothing more comes.
	full time.Duration
	// retry is when a refused call would be taken; zero for one that was.
	retry time.Duration
}

// Interceptor is for edge.Config.Limit: it runs after authentication, because a
// bucket is a customer's. An operator has none: he must get in while a customer
// hammers, and his tools read everything.
func (l *Limiter) Interceptor(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		caller, ok := edge.Caller(ctx)
		if !ok || caller.Operator {
			return next(ctx, spec, stream)
		}
		limit := l.limit()
		v := l.take(ctx, caller.Customer, limit)
		if info, ok := connect.CallInfoForServerContext(ctx); ok {
			info.ResponseHeader().Set("RateLimit-Policy", limit.header())
			info.ResponseHeader().Set("RateLimit", v.header())
		}
		if !v.ok {
			return edge.RetryLater(connect.CodeResourceExhausted, "too many calls by this customer", Reason, v.retry)
		}
		return next(ctx, spec, stream)
	}
}

// limit returns the present limit, or the last one that was valid.
func (l *Limiter) limit() Limit {
	now, good := l.cfg.Limit(), l.good.Load()
	if now == *good || now.Validate() != nil {
		return *good
	}
	l.good.Store(&now)
	l.cfg.Logger.Info("rate limit changed", "rate", now.Rate, "burst", now.Burst)
	return now
}

// take asks the shared bucket, or the process's own when it can't be asked.
func (l *Limiter) take(ctx context.Context, customer string, limit Limit) verdict {
	v, err := resilience.Do(ctx, l.guard, func(ctx context.Context) (verdict, error) {
		return l.shared(ctx, customer, limit)
	})
	store := sharedStore
	if err != nil {
		v, store = l.local.take(customer, limit, time.Now()), localStore
	}
	if ctx.Err() == nil {
		l.tell(ctx, err)
	}
	l.metrics.count(ctx, store, v.ok)
	return v
}

// steady is how long Redis must answer every time before it counts as back: one
// that answers now and then would fill the log.
const steady = 5 * time.Second

// away remembers whether Redis is, and when it last was.
type away struct {
	is     atomic.Bool
	latest atomic.Int64 // Unix nanoseconds
}

// tell logs when Redis goes and when it is back.
func (l *Limiter) tell(ctx context.Context, err error) {
	now := time.Now().UnixNano()
	if err != nil {
		l.away.latest.Store(now)
		if l.away.is.CompareAndSwap(false, true) {
			l.cfg.Logger.WarnContext(ctx, "rate limits are counted per process: Redis can't be asked", "error", err)
		}
		return
	}
	if l.away.is.Load() && now-l.away.latest.Load() >= int64(steady) && l.away.is.CompareAndSwap(true, false) {
		l.cfg.Logger.InfoContext(ctx, "rate limits are shared again")
	}
}

// header is the policy as a structured field: quota and the window in seconds
// within which an empty bucket fills.
func (l Limit) header() string {
	return `"customer";q=` + strconv.Itoa(l.Burst) + ";w=" + strconv.Itoa(wholeSeconds(l.duration(float64(l.Burst))))
}

// header is what remains, and the seconds until the whole quota is back.
func (v verdict) header() string {
	return `"customer";r=` + strconv.Itoa(v.remaining) + ";t=" + strconv.Itoa(wholeSeconds(v.full))
}

// duration is how long it takes to refill this many calls.
func (l Limit) duration(calls float64) time.Duration {
	return time.Duration(calls / l.Rate * float64(time.Second))
}

func wholeSeconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }
