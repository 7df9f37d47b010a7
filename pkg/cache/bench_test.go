package cache_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/ballast/pkg/cache"
	"example.com/ballast/pkg/testkit"
)

// BenchmarkCosts says what a hit, and the invalidation of a key in batches as
// they come under load, cost this process and Redis, in CPU.
func BenchmarkCosts(b *testing.B) {
	s := setup(b, testkit.Redis(b), nil)
	costs := func(b *testing.B, keys int, do func(i int)) {
		mine, redis := cpu(b), redisCPU(b, s)
		i := 0
		for b.Loop() {
			do(i)
			i++
		}
		n := float64(i * keys)
		b.ReportMetric(float64((cpu(b)-mine).Nanoseconds())/n/1000, "us-cpu/key")
		b.ReportMetric((redisCPU(b, s)-redis)*1e6/n, "us-redis/key")
	}
	b.Run("hit", func(b *testing.B) {
		s.source.set("a", item{1, strings.Repeat("x", 400)})
		costs(b, 1, func(int) {
			if _, err := s.Get(b.Context(), "a"); err != nil {
				b.Fatal(err)
			}
		})
	})
	for _, batch := range []int{1, 64} {
		b.Run(fmt.Sprint("invalidate ", batch), func(b *testing.B) {
			changes := make([]cache.Change[string], batch)
			costs(b, batch, func(i int) {
				for j := range changes {
					changes[j] = cache.Change[string]{Key: fmt.Sprintf("0190a1b2-0000-7000-8000-%06d%06d", i/4, j), Version: int64(i)}
				}
				s.Invalidate(b.Context(), changes...)
			})
		})
	}
}

// cpu is what this process has used.
func cpu(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// redisCPU is what Redis has used, in seconds.
func redisCPU(b *testing.B, s *bundle) float64 {
	text, err := s.client.Info(b.Context(), "cpu").Result()
	if err != nil {
		b.Fatal(err)
	}
	var sum float64
	for line := range strings.Lines(text) {
		var seconds float64
		if _, err := fmt.Sscanf(line, "used_cpu_user:%f", &seconds); err == nil {
			sum += seconds
		}
		if _, err := fmt.Sscanf(line, "used_cpu_sys:%f", &seconds); err == nil {
			sum += seconds
		}
	}
	return sum
}
