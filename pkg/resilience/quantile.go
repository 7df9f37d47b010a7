package resilience

import (
	"slices"
	"sync"
	"time"
)

// The 95th percentile is taken of the last quantileWindow calls and worked out
// anew every quantileEvery. By judgement: 512 leave 25 calls beyond it, and a
// sort of them every 64 calls is 0.3 us a call.
const (
	quantileWindow = 512
	quantileEvery  = 64
)

// quantile is a rolling 95th percentile.
type quantile struct {
	mu     sync.Mutex
	ring   [quantileWindow]time.Duration
	seen   int
	latest time.Duration
}

func (q *quantile) add(d time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ring[q.seen%quantileWindow] = d
	q.seen++
	if q.seen%quantileEvery != 0 {
		return
	}
	sorted := slices.Clone(q.ring[:min(q.seen, quantileWindow)])
	slices.Sort(sorted)
	q.latest = sorted[len(sorted)*95/100]
}

// p95 is false until enough calls were seen.
func (q *quantile) p95() (time.Duration, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.latest, q.seen >= quantileEvery
}
