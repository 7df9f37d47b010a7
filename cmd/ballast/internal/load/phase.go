package load

import (
	"math"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latency is a distribution in milliseconds.
type Latency struct {
	P50 float64 `json:"p50Millis"`
	P95 float64 `json:"p95Millis"`
	P99 float64 `json:"p99Millis"`
	Max float64 `json:"maxMillis"`
	N   int64   `json:"n"`
}

// histogram counts microseconds up to ten minutes with three digits. It is not
// safe for concurrent use.
type histogram struct{ *hdrhistogram.Histogram }

func newHistogram() histogram { return histogram{hdrhistogram.New(1, 600_000_000, 3)} }

// add counts a duration; one that a clock turned negative counts as zero.
func (h histogram) add(d time.Duration) {
	_ = h.RecordValue(max(0, d.Microseconds())) // beyond the range: only above ten minutes
}

func (h histogram) latency() Latency {
	const microsPerMilli = 1000.0
	at := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / microsPerMilli }
	return Latency{P50: at(50), P95: at(95), P99: at(99), Max: float64(h.Max()) / microsPerMilli, N: h.TotalCount()}
}

// phase is one stretch of load and what it showed. An order belongs to the
// phase that sent it, also when it ends later.
type phase struct {
	mu sync.Mutex
	// Orders sent, answered, refused (with the latest reason), and ended.
	sent, placed, refused, confirmed, failed int
	unended                                  int
	// queue is how many orders were under way halfway and at the end of the
	// open model, with the number sent until then.
	queue           []queued
	refusal         string
	place, endToEnd histogram
	steps           [len(stepNames)]histogram
}

// queued is a look at the orders under way.
type queued struct{ sent, underWay int }

// look notes how many orders are under way.
func (p *phase) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, queued{sent: p.sent, underWay: p.sent - p.refused - p.confirmed - p.failed})
}

// keptUp tells whether the orders under way are those that always are (the rate
// times the latency) rather than a queue that grows: from one look to the next
// it may grow by a small share of what was sent between them, and by chance.
func keptUp(queue []queued) bool {
	if len(queue) < 2 {
		return true // a closed loop cannot fall behind
	}
	half, end := queue[0], queue[len(queue)-1]
	chance := 2 * math.Sqrt(float64(end.underWay))
	return float64(end.underWay-half.underWay) <= queueShare*float64(end.sent-half.sent)+chance
}

// stepNames say where an order's time goes, in order.
var stepNames = [...]string{
	"sent -> placed (intake)",
	"placed -> reserved",
	"reserved -> charged",
	"charged -> confirmed",
	"confirmed -> seen here (outbox, broker)",
}

func newPhase() *phase {
	p := &phase{place: newHistogram(), endToEnd: newHistogram()}
	for i := range p.steps {
		p.steps[i] = newHistogram()
	}
	return p
}

func (p *phase) sentOne() {
	p.mu.Lock()
	p.sent++
	p.mu.Unlock()
}

func (p *phase) answered(took time.Duration, refusal string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if refusal != "" {
		p.refused++
		p.refusal = refusal
		return
	}
	p.placed++
	p.place.add(took)
}

// lost counts an order that did not end in time.
func (p *phase) lost() {
	p.mu.Lock()
	p.unended++
	p.mu.Unlock()
}

// ended files an order whose last event was seen.
func (p *phase) ended(f *flight) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !f.good {
		p.failed++
		return
	}
	p.confirmed++
	p.endToEnd.add(f.arrived.Sub(f.started))
	marks := [...]time.Time{f.started, f.seen[eventPlaced], f.seen[eventReserved], f.seen[eventCharged], f.seen[eventConfirmed], f.arrived}
	for i := range p.steps {
		if from, to := marks[i], marks[i+1]; !from.IsZero() && !to.IsZero() {
			p.steps[i].add(to.Sub(from))
		}
	}
}

func (p *phase) confirmedSoFar() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.confirmed
}
