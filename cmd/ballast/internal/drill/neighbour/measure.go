package neighbour

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/ballast/cmd/ballast/internal/drill"
	"example.com/ballast/pkg/cache"
)

// The neighbour's churn: pages that it writes, reads a few times, as a cache does
// that works, and never needs again.
const (
	pageBytes = 4 << 10
	pages     = 100 // of one round trip
	reads     = 6
	pause     = 10 * time.Millisecond
	// overflowWithin bounds the wait for its Redis to be full.
	overflowWithin = time.Minute
)

// connect opens the Redis of both services.
func (s *scene) connect() error {
	state, err := s.State()
	if err != nil {
		return err
	}
	quiet := slog.New(slog.DiscardHandler)
	var errs [2]error
	s.victim, errs[0] = cache.Connect(state.Endpoints.Redis["orders"], quiet)
	s.neighbour, errs[1] = cache.Connect(state.Endpoints.Redis["inventory"], quiet)
	return errors.Join(errs[:]...)
}

// churn fills the neighbour's Redis until ctx ends. It does not care for errors:
// that the Redis is busy is its doing.
func (s *scene) churn(ctx context.Context) error {
	page := strings.Repeat("x", pageBytes)
	for n := 0; drill.Sleep(ctx, pause) == nil; n += pages {
		for round := range reads + 1 {
			_, _ = s.neighbour.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
				for i := range pages {
					key := "page:" + strconv.Itoa(n+i)
					if round == 0 {
						p.Set(ctx, key, page, time.Hour)
					} else {
						p.Get(ctx, key)
					}
				}
				return nil
			})
		}
	}
	return nil
}

// overflow waits until the neighbour's Redis is full and evicts.
func (s *scene) overflow(ctx context.Context) error {
	for end := time.Now().Add(overflowWithin); ; {
		info, err := s.neighbour.Info(ctx)
		if err == nil && info.Evicted > 0 {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("the neighbour's Redis did not overflow within %s: %+v", overflowWithin, info)
		}
		if err := drill.Sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// counters are what has happened so far.
type counters struct {
	hits, loads, evicted int64
}

func (s *scene) counters(ctx context.Context) (counters, error) {
	var status cache.Status
	if err := s.Admin(ctx, "orders", http.MethodGet, "/cache", nil, &status); err != nil {
		return counters{}, err
	}
	if status.Redis == nil {
		return counters{}, fmt.Errorf("orders has no Redis: %s", status.Error)
	}
	c := status.Caches["order"]
	// What is stale by its age was answered by the cache, and loaded in the
	// background.
	return counters{hits: c["hit"] + c["stale"], loads: c["miss"] + c["stale"] + c["error"], evicted: status.Redis.Evicted}, nil
}

// measure lets a phase pass.
func (s *scene) measure(ctx context.Context, name string) (phase, error) {
	before, err := s.counters(ctx)
	if err != nil {
		return phase{}, err
	}
	began := time.Now()
	if err := drill.Sleep(ctx, s.cfg.Phase); err != nil {
		return phase{}, err
	}
	ended := time.Now()
	after, err := s.counters(ctx)
	if err != nil {
		return phase{}, err
	}
	kept, err := s.victim.Client.Exists(ctx, s.keys...).Result()
	if err != nil {
		return phase{}, fmt.Errorf("count the victim's entries: %w", err)
	}
	return phase{
		name: name, took: ended.Sub(began), calls: s.traffic.Between(began, ended), kept: kept,
		hits: after.hits - before.hits, loads: after.loads - before.loads, evicted: after.evicted - before.evicted,
	}, nil
}
