package events

import (
	"context"
	"slices"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/message"
	"example.com/ballast/services/orders/internal/order"
)

// keptUpdates of one subscription, by judgement: a whole checkout is four.
const keptUpdates = 16

// Watchers hands what the feed of orders.events brings to those who wait for an
// order. It promises little: events come twice, and some never. They are a
// signal; the truth is in the store.
type Watchers struct {
	limit   func() int
	refused metric.Int64Counter
	missed  metric.Int64Counter

	mu     sync.Mutex
	orders map[ids.ID][]*Subscription
	count  int
}

// NewWatchers makes an empty set; limit is how many subscriptions there may be.
func NewWatchers(limit func() int) *Watchers {
	meter := otel.Meter("example.com/ballast/services/orders/internal/events")
	w := &Watchers{
		limit: limit, orders: make(map[ids.ID][]*Subscription),
		refused: newWatchersRefusedCounter(meter), missed: newWatchersMissedCounter(meter),
	}
	newWatchersGauge(meter, metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		o.Observe(int64(w.count))
		return nil
	}))
	return w
}

// Tell is for the feed: it decodes the events that somebody waits for, which is
// nearly none of them.
func (w *Watchers) Tell(ctx context.Context, batch []message.Message) {
	for _, m := range batch {
		id, err := ids.Parse(string(m.Key))
		if err != nil {
			continue // Nobody can wait for it.
		}
		w.mu.Lock()
		subscriptions := w.orders[id]
		w.mu.Unlock()
		if len(subscriptions) == 0 {
			continue
		}
		event, err := Codec{}.Stored(m.Type, m.Value)
		r := order.Recorded{Order: id, Version: m.Version, At: m.Time, Event: event}
		if m.Sampled() {
			r.Trace = m.TraceParent
		}
		for _, s := range subscriptions {
			// What can't be read may be readable in the store, or else fails there.
			if !s.push(r, err == nil) {
				w.missed.Add(ctx, 1)
			}
		}
	}
}

// maxPerOrder bounds the streams of one order, by judgement: a customer has a few
// devices, and one order must not take the places of all others.
const maxPerOrder = 20

// Subscribe begins to keep the events of an order. It fails with
// order.ErrTooManyWatchers.
func (w *Watchers) Subscribe(ctx context.Context, id ids.ID) (*Subscription, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count >= w.limit() || len(w.orders[id]) >= maxPerOrder {
		w.refused.Add(ctx, 1)
		return nil, order.ErrTooManyWatchers
	}
	w.count++
	s := &Subscription{id: id, watchers: w, changed: make(chan struct{}, 1)}
	// A new slice each time, because Tell reads the old one without the lock.
	w.orders[id] = append(slices.Clip(w.orders[id]), s)
	return s, nil
}

// Subscription keeps the events of one order until they are taken.
type Subscription struct {
	id       ids.ID
	watchers *Watchers
	changed  chan struct{} // holds one signal

	mu     sync.Mutex
	events []order.Recorded
	missed bool
}

// Changed receives when there is something to take.
func (s *Subscription) Changed() <-chan struct{} { return s.changed }

// Take returns what has come since the last time, and whether anything was left
// out because more came than is kept.
func (s *Subscription) Take() (events []order.Recorded, missed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	events, missed = s.events, s.missed
	s.events, s.missed = nil, false
	return events, missed
}

// Close gives the place free. Close once.
func (s *Subscription) Close() {
	w := s.watchers
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count--
	others := slices.DeleteFunc(slices.Clone(w.orders[s.id]), func(other *Subscription) bool { return other == s })
	if w.orders[s.id] = others; len(others) == 0 {
		delete(w.orders, s.id)
	}
}

// push keeps an event, or notes that one is missing, and says which.
func (s *Subscription) push(r order.Recorded, readable bool) (kept bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if kept = readable && len(s.events) < keptUpdates; kept {
		s.events = append(s.events, r)
	} else {
		s.missed = true
	}
	select {
	case s.changed <- struct{}{}:
	default: // One signal is enough for all that waits.
	}
	return kept
}
