package events

import (
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/message"
	"example.com/ballast/services/orders/internal/order"
)

func resent(id ids.ID, version int64) message.Message {
	return Codec{}.Event(order.Recorded{Order: id, Version: version, At: at, Event: order.StepResent{Step: order.Charge}}, "")
}

func TestWatchersHearOfTheirOrder(t *testing.T) {
	t.Parallel()
	w, other := NewWatchers(func() int { return 3 }), ids.New()
	var mine [2]*Subscription
	for i := range mine {
		s, err := w.Subscribe(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		mine[i] = s
	}
	w.Tell(t.Context(), []message.Message{resent(other, 1), resent(id, 2), {Key: []byte("no order")}, resent(id, 3)})
	want := []order.Recorded{
		{Order: id, Version: 2, At: at, Event: order.StepResent{Step: order.Charge}},
		{Order: id, Version: 3, At: at, Event: order.StepResent{Step: order.Charge}},
	}
	for _, s := range mine {
		<-s.Changed()
		if got, missed := s.Take(); missed || cmp.Diff(want, got) != "" {
			t.Errorf("missed %t, %s", missed, cmp.Diff(want, got))
		}
	}
	mine[0].Close()
	w.Tell(t.Context(), []message.Message{resent(id, 4)})
	if got, _ := mine[0].Take(); len(got) > 0 {
		t.Errorf("after its end it has heard of %+v", got)
	}
	if got, _ := mine[1].Take(); len(got) != 1 {
		t.Errorf("the other one has heard of %+v", got)
	}
}

// TestASlowWatcherTakesNoMemory: what it does not take in time is left out, and
// it is told so; what can't be read, too.
func TestASlowWatcherTakesNoMemory(t *testing.T) {
	t.Parallel()
	w := NewWatchers(func() int { return 1 })
	s, err := w.Subscribe(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for v := range int64(10 * keptUpdates) {
		w.Tell(t.Context(), []message.Message{resent(id, v+1)})
	}
	if got, missed := s.Take(); len(got) != keptUpdates || !missed {
		t.Errorf("%d events are kept, missed is %t", len(got), missed)
	}
	if got, missed := s.Take(); len(got) != 0 || missed {
		t.Errorf("taken again: %d events, missed is %t", len(got), missed)
	}
	bad := resent(id, 999)
	bad.Type = "orders.v9.OrderAbducted"
	w.Tell(t.Context(), []message.Message{bad})
	if got, missed := s.Take(); len(got) != 0 || !missed {
		t.Errorf("of an event that can't be read: %+v, missed is %t", got, missed)
	}
}

func TestPlacesAreBoundedAndComeFree(t *testing.T) {
	t.Parallel()
	w := NewWatchers(func() int { return 2 })
	subscribe := func() *Subscription {
		t.Helper()
		s, err := w.Subscribe(t.Context(), ids.New())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := subscribe()
	subscribe()
	if _, err := w.Subscribe(t.Context(), id); !errors.Is(err, order.ErrTooManyWatchers) {
		t.Errorf("the third of two: %v", err)
	}
	first.Close()
	subscribe().Close()
	if n := len(w.orders); n != 1 {
		t.Errorf("%d orders are remembered for one subscription", n)
	}
}

// TestWatchersComeAndGoWhileTheFeedRuns is for the race detector.
func TestWatchersComeAndGoWhileTheFeedRuns(t *testing.T) {
	t.Parallel()
	w := NewWatchers(func() int { return 100 })
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for v := range int64(200) {
				w.Tell(t.Context(), []message.Message{resent(id, v)})
			}
		})
		wg.Go(func() {
			for range 200 {
				s, err := w.Subscribe(t.Context(), id)
				if err != nil {
					t.Error(err)
					return
				}
				s.Take()
				s.Close()
			}
		})
	}
	wg.Wait()
	if w.count != 0 || len(w.orders) != 0 {
		t.Errorf("%d subscriptions of %d orders are left", w.count, len(w.orders))
	}
}

// TestOneOrderTakesNotEveryPlace: whoever watches one order a thousand times
// leaves room for the others.
func TestOneOrderTakesNotEveryPlace(t *testing.T) {
	t.Parallel()
	w := NewWatchers(func() int { return 10 * maxPerOrder })
	for range maxPerOrder {
		if _, err := w.Subscribe(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Subscribe(t.Context(), id); !errors.Is(err, order.ErrTooManyWatchers) {
		t.Errorf("one order has more than %d streams: %v", maxPerOrder, err)
	}
	if _, err := w.Subscribe(t.Context(), ids.New()); err != nil {
		t.Errorf("another order has none: %v", err)
	}
}
