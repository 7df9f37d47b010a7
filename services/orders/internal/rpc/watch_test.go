package rpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	ordersv1 "example.com/ballast/gen/orders/v1"
	"example.com/ballast/pkg/ids"
	"example.com/ballast/services/orders/internal/order"
)

// past is an order's first versions: a checkout that ends at version n.
func past(n int) []order.Recorded {
	events := make([]order.Recorded, n)
	for i := range events {
		events[i] = order.Recorded{Version: int64(i) + 1, Event: order.StepResent{Step: order.Reserve}}
	}
	events[0].Event = order.WasPlaced{}
	events[n-1].Event = order.StepDone{Step: order.Ship}
	return events
}

// source is a store and a feed in memory.
type source struct {
	all     []order.Recorded
	changed chan struct{}

	mu     sync.Mutex
	stored int // how many of them are committed
	away   error
	queue  []order.Recorded
	missed bool
}

func newSource(n int) *source { return &source{all: past(n), changed: make(chan struct{}, 1)} }

func (s *source) history(context.Context, ids.ID) ([]order.Recorded, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[:s.stored], s.away
}
func (s *source) Changed() <-chan struct{} { return s.changed }
func (s *source) Close()                   {}
func (s *source) Take() ([]order.Recorded, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.queue, s.missed = nil, false }()
	return s.queue, s.missed
}

// store is what the history reads from now on.
func (s *source) store(versions int, away error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored, s.away = versions, away
}

func (s *source) push(versions ...int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range versions {
		s.queue = append(s.queue, s.all[v-1])
	}
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// seen is what a client receives; 0 is a heartbeat.
type seen []int64

func (s *seen) send(res *ordersv1.WatchOrderResponse) error {
	*s = append(*s, res.GetEvent().GetVersion())
	return nil
}

// TestEachVersionOnce lets the store commit, and the feed deliver, repeat and
// lose, in any interleaving: the client gets each version after the one that it
// knows, once and in order.
func TestEachVersionOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "versions")
		s := newSource(n)
		s.stored = rapid.IntRange(1, n).Draw(t, "stored at first")
		after := rapid.IntRange(0, s.stored).Draw(t, "after")
		var got seen
		w := watch{after: int64(after), updates: s, history: s.history, send: got.send}
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		for v := 1; v <= s.stored; v++ { // subscribed first: these may be in both
			if rapid.Bool().Draw(t, "also from the feed") {
				s.push(v)
			}
		}
		must(w.catchUp(t.Context()))
		for s.stored < n || len(s.queue) > 0 || s.missed {
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0:
				s.stored = min(n, s.stored+rapid.IntRange(1, 3).Draw(t, "commits"))
			case 1:
				s.push(rapid.IntRange(1, s.stored).Draw(t, "version"))
			case 2:
				if len(s.queue) > 0 {
					s.queue, s.missed = nil, true
				}
			default:
				must(w.update(t.Context()))
			}
		}
		s.missed = true // The feed, or else the heartbeat, comes round in the end.
		must(w.update(t.Context()))
		var want seen
		for v := after + 1; v <= n; v++ {
			want = append(want, int64(v))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("behind %d of %d came %v", after, n, got)
		}
	})
}

// run starts a stream and returns what it sent and how it ended.
func (s *source) run(t *testing.T, after int64) (got *seen, end func() error) {
	got = &seen{}
	w := watch{after: after, updates: s, history: s.history, send: got.send}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.run(ctx) }()
	synctest.Wait()
	return got, func() error { cancel(); return <-done }
}

func (s *seen) want(t *testing.T, when string, versions ...int64) {
	t.Helper()
	synctest.Wait()
	if !slices.Equal(*s, versions) {
		t.Errorf("%s: sent %v, want %v", when, *s, versions)
	}
}

func TestAStreamFromItsBeginningToItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSource(4)
		s.store(1, nil)
		got, end := s.run(t, 0)
		got.want(t, "at first", 1)
		s.store(2, nil)
		s.push(2)
		got.want(t, "the feed has the next version", 1, 2)
		s.store(4, nil)
		s.push(2, 4)
		got.want(t, "the feed leaves a gap", 1, 2, 3, 4)
		if err := end(); err != nil {
			t.Errorf("a confirmed order's stream ends with %v", err)
		}
	})
}

// TestHeartbeatsLookAtTheStore: without the broker nothing comes from the feed,
// and the stream goes on, slowly; without the store it goes on with the feed.
func TestHeartbeatsLookAtTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSource(5)
		s.store(1, nil)
		got, end := s.run(t, 0)
		time.Sleep(heartbeat)
		got.want(t, "nothing happens", 1, 0)
		s.store(2, nil)
		time.Sleep(heartbeat)
		got.want(t, "the feed is silent", 1, 0, 2, 0)
		s.store(2, context.DeadlineExceeded)
		time.Sleep(heartbeat)
		got.want(t, "the store is away", 1, 0, 2, 0, 0)
		s.push(3)
		got.want(t, "the store is away, the feed is not", 1, 0, 2, 0, 0, 3)
		s.push(5)
		synctest.Wait()
		if err := end(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a gap without a store ends with %v", err)
		}
	})
}

func TestAStreamDoesNotLastForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSource(2)
		s.store(1, nil)
		_, end := s.run(t, 1)
		time.Sleep(maxStream)
		synctest.Wait()
		if err := end(); !errors.Is(err, errStreamOld) {
			t.Errorf("after %v: %v", maxStream, err)
		}
	})
}

// TestOperatorsNamesAreForOperators: the customer learns that a person decided,
// not which one, nor what they thought.
func TestOperatorsNamesAreForOperators(t *testing.T) {
	t.Parallel()
	by := order.By{Operator: "grace", Reason: "fraud"}
	for _, e := range []order.Event{order.CancellationStarted{By: by}, order.Resumed{By: by}, order.Settled{By: by, As: order.Cancelled}} {
		r := order.Recorded{Version: 2, Event: e}
		if got := eventProto(r, order.Cancelled, false); got.GetOperator()+got.GetReason() != "" {
			t.Errorf("%T tells the customer %v", e, got)
		}
		if got := eventProto(r, order.Cancelled, true); got.GetOperator() != "grace" || got.GetReason() != "fraud" {
			t.Errorf("%T tells the operator %v", e, fmt.Sprint(got))
		}
	}
}
