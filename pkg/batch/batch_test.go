package batch_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"example.com/ballast/pkg/batch"
)

var cfg = batch.Config{MaxBatch: 4, MaxQueue: 8, Workers: 1, Timeout: time.Minute}

// run starts a batcher whose flush takes a second and doubles its items.
func run(t *testing.T, sizes *[]int) (*batch.Batcher[int, int], func()) {
	b := batch.New(cfg, func(_ context.Context, items []int) []batch.Result[int] {
		time.Sleep(time.Second)
		*sizes = append(*sizes, len(items))
		results := make([]batch.Result[int], len(items))
		for i, n := range items {
			if n < 0 {
				panic("negative")
			}
			results[i].Value = 2 * n
		}
		return results
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- b.Run(ctx) }()
	return b, func() { cancel(); <-done }
}

func TestCallsInFlightFormTheNextBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		b, stop := run(t, &sizes)
		results := make(chan int, 8)
		call := func(n int) {
			v, err := b.Do(t.Context(), n)
			if err != nil {
				t.Errorf("item %d: %v", n, err)
			}
			results <- v
		}
		go call(1)
		synctest.Wait() // the first is in flight, alone
		for n := 2; n <= 7; n++ {
			go call(n)
		}
		sum := 0
		for range 7 {
			sum += <-results
		}
		stop()
		if sum != 56 {
			t.Errorf("results add up to %d, want 56", sum)
		}
		if len(sizes) != 3 || sizes[0] != 1 || sizes[1] != 4 || sizes[2] != 2 {
			t.Errorf("batches of %v, want [1 4 2]", sizes)
		}
	})
}

func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		b, stop := run(t, &sizes)
		for range 1 + cfg.MaxQueue {
			go func() {
				if _, err := b.Do(t.Context(), 1); err != nil {
					t.Errorf("accepted item: %v", err)
				}
			}()
			synctest.Wait()
		}
		if _, err := b.Do(t.Context(), 1); !errors.Is(err, batch.ErrFull) {
			t.Errorf("beyond the queue: %v, want ErrFull", err)
		}
		stop() // drains what was accepted
		if _, err := b.Do(t.Context(), 1); !errors.Is(err, batch.ErrStopped) {
			t.Errorf("after the stop: %v, want ErrStopped", err)
		}
	})
}

func TestACallerThatGivesUpTakesNobodyAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		b, stop := run(t, &sizes)
		defer stop()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := b.Do(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("impatient caller: %v", err)
		}
		if v, err := b.Do(t.Context(), 2); v != 4 || err != nil {
			t.Errorf("patient caller: %d, %v", v, err)
		}
	})
}

func TestAPanicIsTheErrorOfItsBatchOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		b, stop := run(t, &sizes)
		defer stop()
		if _, err := b.Do(t.Context(), -1); err == nil {
			t.Error("a panic must be an error")
		}
		if v, err := b.Do(t.Context(), 2); v != 4 || err != nil {
			t.Errorf("the next batch: %d, %v", v, err)
		}
	})
}
