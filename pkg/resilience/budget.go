package resilience

import "sync"

// budgetReserve is the number of retries that are always there: enough for a
// hiccup on a quiet system, where a share of the calls would be no retry at all.
const budgetReserve = 10

// budget is a token bucket of retries: every call puts a share of a token in,
// every retry takes one out. So retries stay below that share of all calls
// whatever the load. (failsafe's own budget bounds retries among the executions
// that are under way at a moment: one caller at a time is never refused, and an
// outage met with three tries each is three times the load.)
type budget struct {
	ratio float64

	mu     sync.Mutex
	tokens float64
}

func (b *budget) deposit() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(b.tokens+b.ratio, budgetReserve)
}

func (b *budget) withdraw() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
