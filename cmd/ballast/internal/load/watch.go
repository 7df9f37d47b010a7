package load

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/message"
)

// eventsTopic has one record per event of an order. Reading it costs the stack
// one more fetch of bytes that the broker has in memory; polling the public API
// for thousands of orders a second would be a load of its own.
const eventsTopic = "orders.events"

// The events of a checkout that runs through, by message type.
const (
	eventPlaced = iota
	eventReserved
	eventCharged
	eventConfirmed
	stages
)

var stageOf = map[string]int{
	"orders.v1.OrderPlaced":    eventPlaced,
	"orders.v1.OrderReserved":  eventReserved,
	"orders.v1.OrderCharged":   eventCharged,
	"orders.v1.OrderConfirmed": eventConfirmed,
}

// endsBadly are the other events after which nothing follows.
var endsBadly = map[string]bool{"orders.v1.OrderCancelled": true, "orders.v1.OrderNeedsOperator": true}

// flight is an order under way. Its events may arrive before PlaceOrder's answer.
type flight struct {
	phase   *phase
	started time.Time // when it was meant to be sent; zero until the answer names it
	seen    [stages]time.Time
	arrived time.Time // when its last event was seen here; zero before
	good    bool
	done    chan struct{}
}

// watcher joins the answers of PlaceOrder with the orders' events.
type watcher struct {
	mu      sync.Mutex
	flights map[string]*flight
}

func newWatcher() *watcher { return &watcher{flights: map[string]*flight{}} }

func (w *watcher) flight(id string) *flight {
	f := w.flights[id]
	if f == nil {
		f = &flight{done: make(chan struct{})}
		w.flights[id] = f
	}
	return f
}

// placed says that an order was accepted; the channel is closed at its end.
func (w *watcher) placed(id string, p *phase, started time.Time) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.flight(id)
	f.phase, f.started = p, started
	w.land(id, f)
	return f.done
}

// event takes one event that was read at the given time.
func (w *watcher) event(m *message.Message, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := string(m.Key)
	f := w.flight(id)
	stage, known := stageOf[m.Type]
	if known {
		f.seen[stage] = m.Time
	}
	if f.arrived.IsZero() && (endsBadly[m.Type] || known && stage == eventConfirmed) {
		f.arrived, f.good = now, !endsBadly[m.Type]
	}
	w.land(id, f)
}

// land files a flight of which both ends are known.
func (w *watcher) land(id string, f *flight) {
	if f.started.IsZero() || f.arrived.IsZero() {
		return
	}
	f.phase.ended(f)
	close(f.done)
	delete(w.flights, id)
}

// open is the number of orders that were accepted and have not ended.
func (w *watcher) open() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, f := range w.flights {
		if !f.started.IsZero() {
			n++
		}
	}
	return n
}

// forget drops the events of orders that are not ours.
func (w *watcher) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, f := range w.flights {
		if f.started.IsZero() {
			delete(w.flights, id)
		}
	}
}

// broker reads the events and counts messages.
type broker struct {
	client *kgo.Client
	admin  *kadm.Client
}

// openBroker starts to read the events at the topic's present end.
func openBroker(ctx context.Context, opts []kgo.Opt) (*broker, error) {
	plain, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	defer plain.Close()
	ends, err := kadm.NewClient(plain).ListEndOffsets(ctx, eventsTopic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("read the end of %s: %w", eventsTopic, err)
	}
	from := map[int32]kgo.Offset{}
	ends.Each(func(o kadm.ListedOffset) { from[o.Partition] = kgo.NewOffset().At(o.Offset) })
	client, err := kgo.NewClient(append(opts,
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{eventsTopic: from}))...)
	if err != nil {
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	return &broker{client: client, admin: kadm.NewClient(client)}, nil
}

// watch hands every event to w until ctx ends.
func (b *broker) watch(ctx context.Context, w *watcher) {
	for ctx.Err() == nil {
		fetches := b.client.PollFetches(ctx)
		now := time.Now()
		fetches.EachRecord(func(r *kgo.Record) {
			if m, err := message.FromRecord(r); err == nil {
				w.event(&m, now)
			}
		})
	}
}

// messages is the number of records that each topic ever had.
func (b *broker) messages(ctx context.Context) (map[string]int64, error) {
	ends, err := b.admin.ListEndOffsets(ctx)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("count messages: %w", err)
	}
	counts := map[string]int64{}
	ends.Each(func(o kadm.ListedOffset) { counts[o.Topic] += o.Offset })
	return counts, nil
}
