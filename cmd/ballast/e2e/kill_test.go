package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"example.com/ballast/cmd/ballast/internal/reconcile"
	ordersv1 "example.com/ballast/gen/orders/v1"
)

// TestKilledProcessesHeal places orders without pause while each process of the
// stack is killed in turn, twice; then every acknowledged order must be
// terminal and all books must agree.
func TestKilledProcessesHeal(t *testing.T) {
	t.Parallel()
	p := start(t)
	ctx := t.Context()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	skus := []string{"KILL-A", "KILL-B", "KILL-C"}
	p.stock(ctx, 100_000, skus...)
	wrong := map[string]any{"latency_ms": 5, "jitter_ms": 20, "error_rate": 0.02, "decline_rate": 0.02}
	p.faults(wrong)

	var stop atomic.Bool
	var mu sync.Mutex
	var accepted []string
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := 0; !stop.Load(); i++ {
				o, err := p.Place(ctx, fmt.Sprint("worker-", w), fmt.Sprint("order-", i), request(skus[i%3], skus[(i+1)%3]))
				if err != nil {
					t.Errorf("worker %d, order %d: %v", w, i, err)
					return
				}
				mu.Lock()
				accepted = append(accepted, o.GetOrderId())
				mu.Unlock()
			}
		})
	}
	r := rand.New(rand.NewPCG(seed, 2))
	for range 2 {
		state, err := p.home.Running()
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range r.Perm(len(state.Children)) {
			p.kill(state.Children[i].Name)
			p.faults(wrong) // a provider that was killed comes back without
		}
	}
	stop.Store(true)
	wg.Wait()
	healed := time.Now()
	result := p.reconcile(ctx, accepted)
	t.Logf("%d orders acknowledged, retries %v, ends %v, all terminal and agreed after %v",
		len(accepted), p.Retries.Counts(), result.Orders, time.Since(healed).Round(10*time.Millisecond))
	if n := result.Orders[reconcile.StatusName(ordersv1.OrderStatus_ORDER_STATUS_NEEDS_OPERATOR)]; n > 0 {
		t.Errorf("%d orders wait for an operator", n)
	}
}

// child tells a child's process id and whether it is ready.
func (p *platform) child(name string) (pid int, ready bool) {
	p.t.Helper()
	state, err := p.home.Running()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, c := range state.Children {
		if c.Name == name {
			return c.PID, c.State == "ready"
		}
	}
	p.t.Fatalf("no child %s", name)
	return 0, false
}

// kill ends a child at once and waits until the supervisor has it ready again.
func (p *platform) kill(name string) {
	p.t.Helper()
	p.end(name, syscall.SIGKILL)
}

// end ends a child by a signal and waits until the supervisor has it ready again.
func (p *platform) end(name string, sig syscall.Signal) {
	p.t.Helper()
	before, _ := p.child(name)
	if err := syscall.Kill(before, sig); err != nil {
		p.t.Fatalf("%v %s (%d): %v", sig, name, before, err)
	}
	began := time.Now()
	for deadline := began.Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if pid, ready := p.child(name); ready && pid != before {
			p.t.Logf("%s is back after %v", name, time.Since(began).Round(10*time.Millisecond))
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s did not come back", name)
		}
	}
}

// stutter stops and continues a child in turn, until the returned function is called.
func (p *platform) stutter(name string, beat time.Duration) (end func()) {
	p.t.Helper()
	pid, _ := p.child(name)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		signals := [2]syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT}
		for i := 0; ; i++ {
			if err := syscall.Kill(pid, signals[i%2]); err != nil {
				p.t.Errorf("stutter %s (%d): %v", name, pid, err)
				return
			}
			select {
			case <-time.After(beat):
			case <-done:
				if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
					p.t.Errorf("continue %s (%d): %v", name, pid, err)
				}
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}
