package shed

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
)

// Numbers of the limiter, by judgement: it looks at the calls of a fifth of a
// second, or of as long as it takes for fifty.
const (
	windowShort   = 200 * time.Millisecond
	windowLong    = 2 * time.Second
	windowSamples = 50
)

// gate is a limiter with its bounds and the calls that wait for a place. The
// library has a queue too, but a fair one: at three times the load it is full of
// low calls, and orders time out behind them (ADR 0017 has the figures). Here
// the most important call is next, and takes the place in the queue of the least
// important one.
type gate struct {
	limits  Limits
	limiter adaptivelimiter.AdaptiveLimiter[any]

	mu      sync.Mutex
	waiting [Exempt]list.List // of *waiter, in the order of arrival
	count   int
}

// waiter is one call that waits. What it is sent is its permit, or nil when it
// has to go.
type waiter struct{ answer chan adaptivelimiter.Permit }

// newGate begins above the least: a crowd may come before anything is learnt.
func newGate(l Limits) *gate {
	return &gate{limits: l, limiter: adaptivelimiter.NewBuilder[any]().
		WithLimits(uint(l.Min), uint(l.Max), uint(min(2*l.Min, l.Max))).
		WithRecentWindow(windowShort, windowLong, windowSamples).
		Build()}
}

var errFull = errors.New("no place")

// enter returns a permit, errFull, or the context's error. Give the permit back
// with leave.
func (g *gate) enter(ctx context.Context, p Priority) (adaptivelimiter.Permit, error) {
	g.mu.Lock()
	if g.count == 0 {
		if permit, ok := g.limiter.TryAcquirePermit(); ok {
			g.mu.Unlock()
			return permit, nil
		}
	}
	if g.count >= g.room(p) && !g.evict(p) {
		g.mu.Unlock()
		return nil, errFull
	}
	w := &waiter{answer: make(chan adaptivelimiter.Permit, 1)}
	element := g.waiting[p].PushBack(w)
	g.count++
	g.mu.Unlock()
	return g.wait(ctx, p, w, element)
}

// room is how long the queue may be for a call to join it. As many may wait as
// may run, so that waiting takes as long as one call does; the less important
// find it full earlier, because their turn would not come: they are told at once.
func (g *gate) room(p Priority) int {
	return max(1, g.limiter.Limit()*int(p+1)/int(Exempt))
}

// evict sends the youngest of the least important calls away, if there is one
// less important than p.
func (g *gate) evict(p Priority) bool {
	for low := range p {
		if last := g.waiting[low].Back(); last != nil {
			g.remove(low, last).answer <- nil
			return true
		}
	}
	return false
}

func (g *gate) remove(p Priority, e *list.Element) *waiter {
	g.count--
	return g.waiting[p].Remove(e).(*waiter) // the list has nothing else
}

// patience is how long a call may wait: the less important, the shorter, because
// it is the less likely to have its turn.
func (g *gate) patience(p Priority) time.Duration { return g.limits.MaxWait >> (Critical - p) }

func (g *gate) wait(ctx context.Context, p Priority, w *waiter, element *list.Element) (adaptivelimiter.Permit, error) {
	timer := time.NewTimer(g.patience(p))
	defer timer.Stop()
	err := errFull
	select {
	case permit := <-w.answer:
		return permitOr(permit)
	case <-timer.C:
	case <-ctx.Done():
		err = ctx.Err()
	}
	g.mu.Lock()
	select {
	case permit := <-w.answer: // it came at the same moment
		g.mu.Unlock()
		return permitOr(permit)
	default:
	}
	g.remove(p, element)
	g.mu.Unlock()
	return nil, err
}

func permitOr(permit adaptivelimiter.Permit) (adaptivelimiter.Permit, error) {
	if permit == nil {
		return nil, errFull
	}
	return permit, nil
}

// leave gives a permit back and lets in who is next. The time of a call that
// tells of the load teaches the limiter.
func (g *gate) leave(permit adaptivelimiter.Permit, tells bool) {
	if tells {
		permit.Record()
	} else {
		permit.Drop()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.count > 0 {
		permit, ok := g.limiter.TryAcquirePermit()
		if !ok {
			return
		}
		g.next().answer <- permit
	}
}

// next takes the oldest of the most important calls out of the queue.
func (g *gate) next() *waiter {
	for p := Critical; ; p-- {
		if first := g.waiting[p].Front(); first != nil {
			return g.remove(p, first)
		}
	}
}

// queued is how many calls wait.
func (g *gate) queued() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.count
}
