package cache_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/ballast/pkg/cache"
	"example.com/ballast/pkg/testkit"
)

var errSource = errors.New("the database is away")

// aged makes a cache in which a value is fresh for no time at all, and then
// ageing for this long.
func aged(t *testing.T, revalidate time.Duration, allowed *atomic.Bool) *bundle {
	t.Helper()
	b := setup(t, testkit.Redis(t), func(c *cache.Config[string, item]) {
		c.TTL, c.Revalidate = time.Nanosecond, revalidate
		c.Stale = func(context.Context, string) bool { return allowed.Load() }
	})
	b.source.set("a", item{1, "one"})
	b.want(t, "a", "one", 1)
	return b
}

// stale gets a key that must be answered from the cache, marked as old.
func (b *bundle) stale(t *testing.T, key, text string) {
	t.Helper()
	got, err := b.Get(t.Context(), key)
	if err != nil || got.Value.text != text || !got.Stale || !got.Cached || got.Age < 0 {
		t.Errorf("got %+v, %v, want a stale %q", got, err, text)
	}
}

func TestAgeingIsGivenAtOnceAndRefreshedOnce(t *testing.T) {
	t.Parallel()
	var allowed atomic.Bool
	allowed.Store(true)
	b := aged(t, time.Hour, &allowed)
	b.source.set("a", item{2, "two"})
	release := make(chan struct{})
	b.source.during = func(context.Context) { <-release }
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() { b.stale(t, "a", "one") })
	}
	wg.Wait()
	// The answers do not wait for it to begin.
	testkit.Eventually(t, "a refresh begins", func() bool { return b.source.loads.Load() > 1 })
	if n := b.source.loads.Load(); n != 2 {
		t.Errorf("%d loads, want the first and one refresh", n)
	}
	close(release)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		got, err := b.Get(t.Context(), "a")
		if err != nil || time.Now().After(end) {
			t.Fatalf("the refresh did not arrive: %+v, %v", got, err)
		}
		if got.Value.text == "two" {
			return
		}
	}
}

func TestTheOldAnswerTakesThePlaceOfAnError(t *testing.T) {
	t.Parallel()
	var allowed atomic.Bool
	allowed.Store(true)
	b := aged(t, time.Nanosecond, &allowed)
	b.source.set("a", item{2, "two"})
	b.want(t, "a", "two", 2) // it is asked for as long as it answers
	b.source.fail.Store(true)
	b.stale(t, "a", "two")
	if _, err := b.Get(t.Context(), "b"); !errors.Is(err, errSource) {
		t.Errorf("%v, want the source's error where nothing is held", err)
	}
	allowed.Store(false)
	if _, err := b.Get(t.Context(), "a"); !errors.Is(err, errSource) {
		t.Errorf("%v, want the source's error with the flag off", err)
	}
}

// An invalidated value is known to be wrong, and still the best there is while
// the source is away; it is never taken for fresh.
func TestAnInvalidatedValueIsTheLastResort(t *testing.T) {
	t.Parallel()
	b := setup(t, testkit.Redis(t), func(c *cache.Config[string, item]) {
		c.Stale = func(context.Context, string) bool { return true }
	})
	b.source.set("a", item{1, "one"})
	b.want(t, "a", "one", 1)
	b.source.set("a", item{2, "two"})
	b.source.fail.Store(true)
	b.invalidate(t, "a", 2)
	b.invalidate(t, "a", 3)
	b.stale(t, "a", "one")
	b.source.set("a", item{3, "three"})
	b.source.fail.Store(false)
	for range 2 {
		got, err := b.Get(t.Context(), "a")
		if err != nil || got.Value.text != "three" || got.Stale {
			t.Errorf("got %+v, %v, want a fresh three", got, err)
		}
	}
}

func TestASlowSourceIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	b := setup(t, testkit.Redis(t), func(c *cache.Config[string, item]) {
		c.Stale = func(context.Context, string) bool { return true }
		c.Patience = 30 * time.Millisecond
	})
	b.source.set("a", item{1, "one"})
	b.want(t, "a", "one", 1)
	b.invalidate(t, "a", 2)
	release := make(chan struct{})
	defer close(release)
	b.source.during = func(context.Context) { <-release }
	for range 5 {
		b.stale(t, "a", "one")
	}
	if n := b.source.loads.Load(); n != 2 {
		t.Errorf("%d loads, want the first and one under way", n)
	}
}

// An invalidation did not reach Redis: what lies there must not count as fresh,
// for this key nor, since nobody knows what else was lost, for any other.
func TestAFailedInvalidationIsNotForgotten(t *testing.T) {
	t.Parallel()
	b := setup(t, testkit.Redis(t), nil)
	for _, key := range []string{"a", "b"} {
		b.source.set(key, item{1, "one"})
		if _, err := b.Get(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	b.source.set("a", item{2, "two"})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	b.Invalidate(gone, cache.Change[string]{Key: "a", Version: 2})
	time.Sleep(2 * time.Millisecond) // entries have their time in milliseconds
	b.want(t, "a", "two", 3)
	b.want(t, "b", "one", 4)
	b.want(t, "a", "two", 4) // stored since
}
