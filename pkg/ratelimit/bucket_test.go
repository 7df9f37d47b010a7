package ratelimit

import (
	"log/slog"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"
)

// model is a bucket as one would explain it: tokens that come at a rate.
type model struct {
	tokens float64
	at     time.Time
}

func (m *model) take(limit Limit, now time.Time) bool {
	m.tokens = min(float64(limit.Burst), m.tokens+now.Sub(m.at).Seconds()*limit.Rate)
	m.at = now
	if m.tokens < 1 {
		return false
	}
	m.tokens--
	return true
}

// TestBucketsKeepTheModel draws histories of one customer and lets the script,
// the local bucket and the model decide each call. Nearer to a whole token than
// the clocks' microseconds either answer is right, and the model follows it.
func TestBucketsKeepTheModel(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t) // its clock can be set; that of a real one can't
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	l := newLimiter(t, client, Limit{Rate: 1, Burst: 1})
	history := 0
	rapid.Check(t, func(t *rapid.T) {
		history++
		customer := strconv.Itoa(history)
		limit := Limit{Rate: rapid.Float64Range(0.1, 200).Draw(t, "rate")}
		limit.Burst = int(math.Ceil(max(1, limit.Rate))) + rapid.IntRange(0, 50).Draw(t, "more")
		now := time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC)
		both := map[string]*model{"shared": {tokens: float64(limit.Burst), at: now}, "local": {tokens: float64(limit.Burst), at: now}}
		for range rapid.IntRange(1, 40).Draw(t, "calls") {
			now = now.Add(time.Duration(rapid.Float64Range(0, 3e6/limit.Rate).Draw(t, "pause")) * time.Microsecond)
			server.SetTime(now)
			shared, err := l.shared(t.Context(), customer, limit)
			if err != nil {
				t.Fatal(err)
			}
			for name, got := range map[string]verdict{"shared": shared, "local": l.local.take(customer, limit, now)} {
				m := both[name]
				want := m.take(limit, now)
				const blur = 0.01
				if near := math.Abs(m.tokens-math.Round(m.tokens)) < blur; got.ok != want && near {
					m.tokens += map[bool]float64{true: -1, false: 1}[got.ok]
					continue
				}
				if got.ok != want {
					t.Fatalf("%s: taken %v with %.6f tokens left", name, got.ok, m.tokens)
				}
				if math.Abs(float64(got.remaining)-m.tokens) > 1.1 {
					t.Fatalf("%s: %d remain, want %.6f", name, got.remaining, m.tokens)
				}
				full := limit.duration(float64(limit.Burst) - m.tokens)
				if d := got.full - full; d.Abs() > time.Millisecond {
					t.Fatalf("%s: full after %s, want %s", name, got.full, full)
				}
				if retry := limit.duration(1 - m.tokens); !got.ok && (got.retry-retry).Abs() > time.Millisecond || got.ok && got.retry != 0 {
					t.Fatalf("%s: taken %v, retry after %s, want %s", name, got.ok, got.retry, retry)
				}
			}
		}
	})
}

func newLimiter(t testing.TB, client *redis.Client, limit Limit) *Limiter {
	t.Helper()
	l, err := New(Config{Client: client, Logger: slog.New(slog.DiscardHandler), Limit: func() Limit { return limit }})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// While Redis is away, customers without number must not fill the memory.
func TestLocalBucketsAreBounded(t *testing.T) {
	t.Parallel()
	l := local{limit: 100}
	limit, now := Limit{Rate: 1, Burst: 2}, time.Now()
	for i := range 10_000 {
		l.take(strconv.Itoa(i), limit, now)
		l.take("always here", limit, now)
	}
	if kept := len(l.young) + len(l.old); kept > 200 {
		t.Errorf("%d buckets are kept, want 200 at most", kept)
	}
	if l.take("always here", limit, now).ok {
		t.Error("the bucket of a customer who never stopped was forgotten")
	}
}

func TestLocalBucketFollowsTheLimit(t *testing.T) {
	t.Parallel()
	var l local
	l.limit = 10
	now := time.Now()
	if !l.take("ada", Limit{Rate: 1, Burst: 1}, now).ok || l.take("ada", Limit{Rate: 1, Burst: 1}, now).ok {
		t.Fatal("a bucket of one call does not hold one call")
	}
	l.take("ada", Limit{Rate: 100, Burst: 100}, now)
	if !l.take("ada", Limit{Rate: 100, Burst: 100}, now.Add(20*time.Millisecond)).ok {
		t.Error("a higher rate does not hold for a bucket that was there")
	}
}

func TestLimitIsChecked(t *testing.T) {
	t.Parallel()
	for limit, ok := range map[Limit]bool{
		{Rate: 20, Burst: 20}: true, {Rate: 20, Burst: 100}: true, {Rate: 0.5, Burst: 1}: true,
		{Rate: 20, Burst: 19}: false, {Rate: 0, Burst: 10}: false, {Rate: -1, Burst: 10}: false,
		{Rate: math.Inf(1), Burst: 10}: false, {Rate: 0.5, Burst: 0}: false,
	} {
		if err := limit.Validate(); (err == nil) != ok {
			t.Errorf("%+v: %v", limit, err)
		}
	}
	if (Limit{Rate: math.NaN(), Burst: 10}).Validate() == nil {
		t.Error("not a number is a rate")
	}
}
