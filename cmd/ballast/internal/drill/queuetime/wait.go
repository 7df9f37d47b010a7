package queuetime

import (
	"fmt"
	"slices"
	"time"

	"example.com/ballast/cmd/ballast/internal/drill"
)

// wait is one command on its way through the queue, as a stranger reads it from
// the two topics: nothing here was measured by the consumer.
type wait struct {
	order string
	// made is when orders made the command (ce_time), written when it was produced
	// (the record's timestamp), and answered when inventory made its answer (ce_time
	// of the answer), which is after the poll and before the commit.
	made, written, answered time.Time
}

const (
	// handling is the most that the way from the poll to the answer may take: the
	// batches before it in the same poll, the reads of the transaction. By judgement.
	handling = 750 * time.Millisecond
	// meanHandling is the same on average.
	meanHandling = 200 * time.Millisecond
	// again is the share of the records that may be polled twice: the stop may
	// strike in the middle of a batch.
	again = .01
	// struck is how many records the batch may have that the stop strikes between
	// its commit and its end: it is handled again after the stop, when its answers
	// are there already, and counts as long as that took. By judgement: a few come
	// at a time.
	struck = 5
)

// verdict compares a histogram with the same waits as a stranger sees them.
type verdict struct {
	Histogram drill.Histogram
	// waits are from the beginning to the answer: each at least as long as the
	// time until the poll, which the histogram has, and at most handling longer.
	waits []time.Duration
	rows  []bucket
	wrong []string
}

// bucket is one bound with the cumulative counts.
type bucket struct {
	bound         float64
	seen          uint64
	atLeast, most int
}

// compare judges the count, the mean and each bucket. begin is where a wait begins.
func compare(h drill.Histogram, waits []wait, begin func(wait) time.Time) *verdict {
	v := &verdict{Histogram: h}
	for _, w := range waits {
		v.waits = append(v.waits, w.answered.Sub(begin(w)))
	}
	slices.Sort(v.waits)
	n := len(v.waits)
	repeated := int(h.Count) - n
	if n == 0 || repeated < 0 || float64(repeated) > again*float64(n) {
		v.complain("it has %d waits, the topic %d", h.Count, n)
		return v
	}
	late := 0
	for bound, seen := range h.UpTo {
		b := bucket{bound: bound, seen: seen, atLeast: v.upTo(bound), most: v.upTo(bound+handling.Seconds()) + repeated}
		late = max(late, b.atLeast-int(seen))
		if int(seen) < b.atLeast-struck || int(seen) > b.most {
			v.complain("up to %g s it has %d, and it must be from %d to %d", bound, seen, b.atLeast-struck, b.most)
		}
		v.rows = append(v.rows, b)
	}
	// Each that was polled or handled twice may have waited as long as the longest.
	slack := float64(repeated+late) * v.waits[n-1].Seconds() / float64(n)
	if most := v.mean() + slack; v.seenMean() > most {
		v.complain("its mean is %.4f s, and until the answers it was %.4f s: it has more than the queue", v.seenMean(), most)
	}
	if least := v.mean() - meanHandling.Seconds(); v.seenMean() < least {
		v.complain("its mean is %.4f s, and it must be at least %.4f s", v.seenMean(), least)
	}
	slices.SortFunc(v.rows, func(a, b bucket) int {
		if a.bound < b.bound {
			return -1
		}
		return 1
	})
	return v
}

func (v *verdict) complain(format string, args ...any) {
	v.wrong = append(v.wrong, fmt.Sprintf(format, args...))
}

// upTo is how many waits were at most so long, in seconds.
func (v *verdict) upTo(seconds float64) int {
	n, _ := slices.BinarySearchFunc(v.waits, seconds, func(w time.Duration, s float64) int {
		if w.Seconds() <= s {
			return -1
		}
		return 1
	})
	return n
}

// mean is that of the waits in seconds, seenMean that of the histogram.
func (v *verdict) mean() float64 {
	sum := 0.0
	for _, w := range v.waits {
		sum += w.Seconds()
	}
	return sum / float64(len(v.waits))
}

func (v *verdict) seenMean() float64 { return v.Histogram.Sum / float64(v.Histogram.Count) }

// backlog is how many commands had been written and not answered at a moment.
func backlog(waits []wait, at time.Time) int {
	n := 0
	for _, w := range waits {
		if !w.written.After(at) && w.answered.After(at) {
			n++
		}
	}
	return n
}
