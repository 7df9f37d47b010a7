package drill

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/ballast/cmd/ballast/internal/api"
	ordersv1 "example.com/ballast/gen/orders/v1"
)

// maxInFlight bounds the calls that a drill has under way at once; an arrival
// beyond it is not sent, and counts as failed.
const maxInFlight = 4096

// Call is one call of a drill's traffic as its customer saw it.
type Call struct {
	// Kind groups calls that compare, such as "place order".
	Kind string
	// Meant is when it was to be sent; Took counts from there to the answer.
	Meant time.Time
	Took  time.Duration
	// Failed is why it failed, empty when it did not.
	Failed string
}

// Traffic is a steady load: calls go out at even distances, whatever becomes of
// those before (an open model), so that a slow answer delays no other call.
type Traffic struct {
	stop  context.CancelFunc
	ended chan struct{}

	mu    sync.Mutex
	calls []Call
}

// Drive starts traffic of so many calls a second. send makes the n-th call and
// says of what kind it was.
func Drive(ctx context.Context, perSecond float64, send func(ctx context.Context, n int) (kind string, err error)) *Traffic {
	until, stop := context.WithCancel(ctx)
	t := &Traffic{stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(t.ended)
		var group sync.WaitGroup
		defer group.Wait()
		slots := make(chan struct{}, maxInFlight)
		first := time.Now()
		for n := 0; ; n++ {
			meant := first.Add(time.Duration(float64(n) / perSecond * float64(time.Second)))
			if Sleep(until, time.Until(meant)) != nil {
				return
			}
			select {
			case slots <- struct{}{}:
			default:
				t.note(Call{Kind: "not sent", Meant: meant, Failed: fmt.Sprintf("%d calls were under way", maxInFlight)})
				continue
			}
			group.Go(func() {
				defer func() { <-slots }()
				// Calls under way are finished after the end: they have deadlines.
				kind, err := send(ctx, n)
				call := Call{Kind: kind, Meant: meant, Took: time.Since(meant)}
				if err != nil {
					call.Failed = api.Refusal(err)
				}
				t.note(call)
			})
		}
	}()
	return t
}

func (t *Traffic) note(c Call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls = append(t.calls, c)
}

// Stop ends the traffic and waits for the calls that are under way.
func (t *Traffic) Stop() {
	t.stop()
	<-t.ended
}

// Between returns the calls of the kinds (all without one) that were meant to be
// sent in a period and have been answered.
func (t *Traffic) Between(from, to time.Time, kinds ...string) Calls {
	t.mu.Lock()
	defer t.mu.Unlock()
	var some Calls
	for _, c := range t.calls {
		if !c.Meant.Before(from) && c.Meant.Before(to) && (len(kinds) == 0 || slices.Contains(kinds, c.Kind)) {
			some = append(some, c)
		}
	}
	return some
}

// Calls are some calls of a traffic.
type Calls []Call

// Failed is the number of those that failed.
func (c Calls) Failed() int {
	n := 0
	for _, call := range c {
		if call.Failed != "" {
			n++
		}
	}
	return n
}

// Codes says how often each failure was seen, most frequent first: "12
// unavailable, 3 deadline_exceeded", or "none".
func (c Calls) Codes() string {
	counts := map[string]int{}
	for _, call := range c {
		if call.Failed != "" {
			counts[call.Failed]++
		}
	}
	return Counts(counts)
}

// Counts writes numbers by name, largest first, or "none".
func Counts[N int | int64](counts map[string]N) string {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), strings.Compare(a, b))
	})
	var parts []string
	for _, name := range names {
		if counts[name] != 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[name], name))
		}
	}
	return cmp.Or(strings.Join(parts, ", "), "none")
}

// Took returns how long the calls took, failed ones too: their customer waited
// as well.
func (c Calls) Took() []time.Duration {
	took := make([]time.Duration, 0, len(c))
	for _, call := range c {
		took = append(took, call.Took)
	}
	return took
}

// Quantile returns the value that the given share of all is not above, zero of
// none. It sorts what it is given.
func Quantile(took []time.Duration, share float64) time.Duration {
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[min(int(share*float64(len(took))), len(took)-1)]
}

// End is when an order was placed, and how long it took to its last event.
type End struct {
	Placed time.Time
	Took   time.Duration
}

// Ends are some of them.
type Ends []End

// Ends reads those of all orders from the public API, by the platform's clock.
func (s *Stack) Ends(ctx context.Context) (Ends, error) {
	var ends Ends
	err := s.EachOrder(ctx, func(o *ordersv1.Order) {
		placed := o.GetCreateTime().AsTime()
		ends = append(ends, End{placed, o.GetUpdateTime().AsTime().Sub(placed)})
	})
	return ends, err
}

// Took returns how long the orders took that were placed in a period.
func (e Ends) Took(from, to time.Time) []time.Duration {
	var took []time.Duration
	for _, end := range e {
		if !end.Placed.Before(from) && end.Placed.Before(to) {
			took = append(took, end.Took)
		}
	}
	return took
}

// Millis writes a duration as a report shows it.
func Millis(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// Sleep waits, or returns ctx's error when that ends before.
func Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
