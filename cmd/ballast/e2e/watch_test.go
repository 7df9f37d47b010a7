package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	ordersv1 "example.com/ballast/gen/orders/v1"
)

// TestWatchesOutliveTheService watches every order of a shop that does not stop
// buying, while orders is killed and stopped in turn. Each watch sees each version
// of its order once and in order, over however many streams.
func TestWatchesOutliveTheService(t *testing.T) {
	t.Parallel()
	p := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	p.stock(ctx, 100_000, "WATCH")
	p.faults(map[string]any{"latency_ms": 200, "jitter_ms": 400, "decline_rate": 0.2}) // a checkout takes about a second
	var stop atomic.Bool
	var wg sync.WaitGroup
	var watched, versions atomic.Int64
	for w := range 12 {
		wg.Go(func() {
			for i := 0; !stop.Load(); i++ {
				o, err := p.Place(ctx, fmt.Sprint("watcher-", w), fmt.Sprint("order-", i), request("WATCH"))
				if err != nil {
					t.Errorf("watcher %d, order %d: %v", w, i, err)
					return
				}
				n, err := p.watchToTheEnd(ctx, o.GetOrderId())
				if err != nil {
					t.Errorf("watcher %d, order %s: %v", w, o.GetOrderId(), err)
					return
				}
				watched.Add(1)
				versions.Add(int64(n))
			}
		})
	}
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		p.end("orders", sig)
		before := watched.Load()
		p.eventually("orders end again", func() bool { return watched.Load() >= before+12 || t.Failed() })
	}
	stop.Store(true)
	wg.Wait()
	t.Logf("%d orders watched, %d versions, attempts again: %v", watched.Load(), versions.Load(), p.Retries.Counts())
	if len(p.Retries.Counts()) == 0 {
		t.Error("nothing was cut off")
	}
}

// watchToTheEnd compares what a watch brings with the history.
func (p *platform) watchToTheEnd(ctx context.Context, id string) (int, error) {
	var got []int64
	var last ordersv1.OrderStatus
	err := p.Watch(ctx, id, 0, func(e *ordersv1.OrderEvent) error {
		got, last = append(got, e.GetVersion()), e.GetStatus()
		return nil
	})
	if err != nil {
		return 0, err
	}
	want := make([]int64, len(got))
	for i := range want {
		want[i] = int64(i) + 1
	}
	over := last == ordersv1.OrderStatus_ORDER_STATUS_CONFIRMED || last == ordersv1.OrderStatus_ORDER_STATUS_CANCELLED
	if !slices.Equal(got, want) || !over {
		return 0, fmt.Errorf("versions %v, the last one %v", got, last)
	}
	return len(got), nil
}
