package cache

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"example.com/ballast/pkg/resilience"
)

// Info is what a Redis says of itself. Evicted, Hits and Misses count since its
// start and hold for all who share it; Keys are those of the service's database.
type Info struct {
	Keys      int64  `json:"keys"`
	Memory    int64  `json:"memoryBytes"`
	MaxMemory int64  `json:"maxMemoryBytes"`
	Policy    string `json:"policy"`
	Evicted   int64  `json:"evicted"`
	Hits      int64  `json:"hits"`
	Misses    int64  `json:"misses"`
}

// Run asks Redis about itself for the metrics, until ctx ends.
func (r *Redis) Run(ctx context.Context) error { return r.info.Run(ctx) }

// Info asks Redis about itself.
func (r *Redis) Info(ctx context.Context) (Info, error) {
	return resilience.Do(ctx, r.guard, func(ctx context.Context) (Info, error) {
		text, err := r.Client.Info(ctx).Result()
		if err != nil {
			return Info{}, fmt.Errorf("INFO: %w", err)
		}
		keys, err := r.Client.DBSize(ctx).Result()
		if err != nil {
			return Info{}, fmt.Errorf("DBSIZE: %w", err)
		}
		info := parseInfo(text)
		info.Keys = keys
		return info, nil
	})
}

// parseInfo reads the lines that matter; one that is missing counts as zero.
func parseInfo(text string) Info {
	var info Info
	numbers := map[string]*int64{
		"used_memory": &info.Memory, "maxmemory": &info.MaxMemory, "evicted_keys": &info.Evicted,
		"keyspace_hits": &info.Hits, "keyspace_misses": &info.Misses,
	}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if into, ok := numbers[name]; ok {
			*into, _ = strconv.ParseInt(value, 10, 64)
		}
		if name == "maxmemory_policy" {
			info.Policy = value
		}
	}
	return info
}

// Status is what the admin listener shows.
type Status struct {
	// Breaker in front of Redis: closed, half-open or open.
	Breaker string `json:"breaker"`
	// Error is why there is no Redis to speak of.
	Error string `json:"error,omitempty"`
	Redis *Info  `json:"redis,omitempty"`
	// Caches has, by name, how many requests had which result, in this process.
	Caches map[string]map[string]int64 `json:"caches"`
}

// ServeHTTP shows the caches and their Redis as they are now.
func (r *Redis) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s := Status{Caches: map[string]map[string]int64{}}
	if info, err := r.Info(req.Context()); err != nil {
		s.Error = err.Error()
	} else {
		s.Redis = &info
	}
	s.Breaker = r.guard.State()
	r.mu.Lock()
	for name, m := range r.caches {
		s.Caches[name] = map[string]int64{}
		for i, result := range results {
			s.Caches[name][result] = m.counts[i].Load()
		}
	}
	r.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s) // a caller that has gone can't be told
}

// observe exports the latest Info.
func (r *Redis) observe() error {
	meter := otel.Meter(scope)
	keys, evictions := newRedisKeysGauge(meter), newRedisEvictionsGauge(meter)
	memory, limit := newRedisMemoryGauge(meter), newRedisMemoryLimitGauge(meter)
	_, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		if info, known := r.info.Answer(); known {
			o.ObserveInt64(keys, info.Keys)
			o.ObserveInt64(evictions, info.Evicted)
			o.ObserveInt64(memory, info.Memory)
			o.ObserveInt64(limit, info.MaxMemory)
		}
		return nil
	}, keys, evictions, memory, limit)
	return err
}
