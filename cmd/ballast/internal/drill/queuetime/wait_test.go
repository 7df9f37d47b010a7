package queuetime

import (
	"slices"
	"testing"
	"time"

	"example.com/ballast/cmd/ballast/internal/drill"
)

// scene is 100 commands of which half found the consumer stopped: they waited from
// 20 ms to 10 s. outbox is how long each waited before, handling how long the
// answer took after the poll.
func scene(outbox, handling time.Duration) (waits []wait, polled []time.Duration) {
	epoch := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	for i := range 100 {
		in := 20 * time.Millisecond
		if i >= 50 {
			in = time.Duration(i-49) * 200 * time.Millisecond
		}
		waits = append(waits, wait{made: epoch, written: epoch.Add(outbox), answered: epoch.Add(outbox + in + handling)})
		polled = append(polled, in)
	}
	return waits, polled
}

// histogram is what a consumer would have measured.
func histogram(waits []time.Duration) drill.Histogram {
	h := drill.Histogram{UpTo: map[float64]uint64{}}
	for _, bound := range []float64{.01, .1, 1, 5, 10} {
		h.UpTo[bound] = 0
		for _, w := range waits {
			if w.Seconds() <= bound {
				h.UpTo[bound]++
			}
		}
	}
	for _, w := range waits {
		h.Count++
		h.Sum += w.Seconds()
	}
	return h
}

// TestAHistogramOfSomethingElseIsFoundOut: only the time from the broker to the
// poll is the time in the queue.
func TestAHistogramOfSomethingElseIsFoundOut(t *testing.T) {
	t.Parallel()
	const outbox, handled, commit = 300 * time.Millisecond, 10 * time.Millisecond, 2 * time.Millisecond
	waits, polled := scene(outbox, handled)
	shifted := func(by time.Duration) []time.Duration {
		var all []time.Duration
		for _, w := range polled {
			all = append(all, w+by)
		}
		return all
	}
	for _, c := range []struct {
		name  string
		waits []time.Duration
		right bool
	}{
		{"to the poll", polled, true},
		{"to the handler, which is after the poll", shifted(5 * time.Millisecond), true},
		{"in which the stop struck a batch", append([]time.Duration{10 * time.Second}, polled[1:]...), true},
		{"in which it struck too many", append(slices.Repeat([]time.Duration{10 * time.Second}, struck+1), polled[struck+1:]...), false},
		{"to after the commit", shifted(handled + commit), false},
		{"from the making of the command", shifted(outbox), false},
		{"of half of them", polled[:50], false},
		{"without the stop", append(append([]time.Duration{}, polled[:50]...), polled[:50]...), false},
	} {
		v := compare(histogram(c.waits), waits, func(w wait) time.Time { return w.written })
		if right := len(v.wrong) == 0; right != c.right {
			t.Errorf("a histogram %s is found right: %t: %q", c.name, right, v.wrong)
		}
	}
}

func TestBacklog(t *testing.T) {
	t.Parallel()
	waits, _ := scene(0, 0)
	for _, c := range []struct {
		at   time.Duration
		want int
	}{{-time.Second, 0}, {0, 100}, {time.Second, 45}, {time.Minute, 0}} {
		if got := backlog(waits, waits[0].written.Add(c.at)); got != c.want {
			t.Errorf("after %s: %d, want %d", c.at, got, c.want)
		}
	}
}
