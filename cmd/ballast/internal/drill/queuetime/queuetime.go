// Package queuetime shows that the time that commands are said to spend in the
// queue is the time that they spend there. Under a steady load one consumer is
// stopped and started again; what its histograms have measured is compared with
// what a stranger works out from the two topics and from the customers' clocks.
//
// It is played twice: with one of two replicas frozen, whose partition nobody
// takes over, and with the only one stopped in good order and started again. The
// broker is frozen for a moment too: only then does a command wait in the outbox
// for so long that a histogram which counts from the wrong moment is found out.
package queuetime

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"example.com/ballast/cmd/ballast/internal/drill"
	"example.com/ballast/cmd/ballast/internal/stack"
	ordersv1 "example.com/ballast/gen/orders/v1"
)

const sku = "QUEUE-1"

const (
	metricBrokerWait = "stream_broker_wait_seconds"
	metricEventAge   = "stream_event_age_seconds"
	metricLag        = "stream_lag"
	metricOutboxAge  = "outbox_age_seconds"
)

// Config says how much of it.
type Config struct {
	// Rate of orders, a second.
	Rate float64
	// Steady is how long the load runs before, between and after the stops.
	Steady time.Duration
	// Stop is how long the consumer is stopped, Stall how long the broker is frozen.
	Stop, Stall time.Duration
	// Ways are frozen, restarted or both; all when empty.
	Ways []string
}

// The two ways to stop a consumer.
const (
	frozen    = "frozen"
	restarted = "restarted"
)

// Run runs the drill.
func Run(ctx context.Context, o drill.Options, cfg Config) (*drill.Report, error) {
	if len(cfg.Ways) == 0 {
		cfg.Ways = []string{frozen, restarted}
	}
	r := &drill.Report{
		Name: "Time in the queue",
		About: fmt.Sprintf("%.0f orders a second; the broker is frozen for %s, a consumer of %s is stopped for %s and started again. "+
			"What the histograms of the consumers have measured against what the topics and the customers' clocks say.",
			cfg.Rate, cfg.Stall, commands, cfg.Stop),
	}
	for _, way := range cfg.Ways {
		p := &play{cfg: cfg, way: way, placed: map[string]span{}}
		if err := p.run(ctx, o); err != nil {
			return nil, fmt.Errorf("%s: %w", way, err)
		}
		p.report(r)
	}
	return r, nil
}

// span is from a customer's call to its answer.
type span struct{ sent, answered time.Time }

// look is what the metrics said at a moment.
type look struct {
	at             time.Time
	lag, outboxAge float64
}

// play is one way to stop under way.
type play struct {
	*drill.Stack

	cfg Config
	way string

	mu     sync.Mutex
	placed map[string]span
	looks  []look

	// What came of it: the histograms of all consumers, and since when they count.
	wait, age     drill.Histogram
	since         time.Time
	stopped, went time.Time // when the consumer was stopped, and when it went on
	waits         []wait    // all that the histograms should have
	all           []wait    // and all that there were
	differences   int
}

func (p *play) run(ctx context.Context, o drill.Options) (err error) {
	// Nobody takes over what a frozen consumer holds, and nothing is sent twice.
	o.Env = append(o.Env, "KAFKA_SESSION_TIMEOUT=2m", "RESEND_AFTER=5m", "RATE_LIMIT=100000", "RATE_BURST=100000")
	if p.way == frozen {
		o.Up = append(slices.Clone(o.Up), "--replicas", "2")
	}
	if p.Stack, err = drill.Start(ctx, o); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close(ctx)) }()
	if err := p.Stock(ctx, 1_000_000, sku); err != nil {
		return err
	}
	traffic := drill.Drive(ctx, p.cfg.Rate, p.place)
	defer traffic.Stop()
	watching, enough := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { p.watch(watching) })
	defer watch.Wait()
	defer enough()
	if err := p.stops(ctx); err != nil {
		return err
	}
	traffic.Stop()
	return p.count(ctx)
}

// stops plays the stops under the load.
func (p *play) stops(ctx context.Context) error {
	if err := drill.Sleep(ctx, p.cfg.Steady); err != nil {
		return err
	}
	p.Say("%s: the broker is frozen for %s", p.way, p.cfg.Stall)
	if err := p.freeze(ctx, "kafka", p.cfg.Stall); err != nil {
		return err
	}
	if err := drill.Sleep(ctx, p.cfg.Steady); err != nil {
		return err
	}
	p.Say("%s: a consumer is stopped for %s", p.way, p.cfg.Stop)
	victim := "inventory-1"
	p.stopped = time.Now()
	if p.way == restarted {
		victim = "inventory"
		if err := p.replace(ctx, victim); err != nil {
			return err
		}
	}
	if err := p.freeze(ctx, victim, p.cfg.Stop); err != nil {
		return err
	}
	p.went = time.Now()
	return drill.Sleep(ctx, p.cfg.Steady)
}

// freeze stops a child for a while. It goes on whatever happens: a process that
// stays stopped can't be ended in good order.
func (p *play) freeze(ctx context.Context, child string, d time.Duration) error {
	if err := p.Signal(child, syscall.SIGSTOP); err != nil {
		return err
	}
	return errors.Join(drill.Sleep(ctx, d), p.Signal(child, syscall.SIGCONT))
}

// replace stops a child in good order and returns as soon as it has a successor,
// which has not read its configuration by then: the group has no member. The
// successor's histograms begin at zero.
func (p *play) replace(ctx context.Context, child string) error {
	old, err := p.pid(child)
	if err != nil {
		return err
	}
	if err := p.Signal(child, syscall.SIGTERM); err != nil {
		return err
	}
	for {
		now, err := p.pid(child)
		if err != nil {
			return err
		}
		if now != 0 && now != old {
			p.since = time.Now()
			return nil
		}
		if err := drill.Sleep(ctx, time.Millisecond); err != nil {
			return err
		}
	}
}

func (p *play) pid(child string) (int, error) {
	state, err := p.State()
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(state.Children, func(c stack.ChildState) bool { return c.Name == child })
	if i < 0 {
		return 0, fmt.Errorf("no child %s", child)
	}
	return state.Children[i].PID, nil
}

func (p *play) place(ctx context.Context, n int) (string, error) {
	sent := time.Now()
	o, err := p.Place(ctx, fmt.Sprint("customer-", n%50), fmt.Sprint("order-", n), &ordersv1.PlaceOrderRequest{
		ShipTo: &ordersv1.Address{Country: "GB"}, Lines: []*ordersv1.LineRequest{{Sku: sku, Quantity: 1}},
	})
	if err == nil {
		p.mu.Lock()
		p.placed[o.GetOrderId()] = span{sent, time.Now()}
		p.mu.Unlock()
	}
	return "place order", err
}

// watch looks at the gauges until ctx ends. A process that is stopped says
// nothing, so of the lag the largest of what the others say counts.
func (p *play) watch(ctx context.Context) {
	const every, patience = 250 * time.Millisecond, 200 * time.Millisecond
	for drill.Sleep(ctx, every) == nil {
		l := look{at: time.Now(), lag: -1, outboxAge: -1}
		for _, child := range p.children("inventory", "orders") {
			ask, cancel := context.WithTimeout(ctx, patience)
			m, err := p.Scrape(ask, child)
			cancel()
			if err != nil {
				continue
			}
			if strings.HasPrefix(child, "inventory") && m[metricLag] != nil {
				l.lag = max(l.lag, m.Sum(metricLag, "group="+group, "topic="+commands))
			} else if strings.HasPrefix(child, "orders") && m[metricOutboxAge] != nil {
				l.outboxAge = max(l.outboxAge, m.Sum(metricOutboxAge))
			}
		}
		p.mu.Lock()
		p.looks = append(p.looks, l)
		p.mu.Unlock()
	}
}

// children are the processes of services.
func (p *play) children(services ...string) []string {
	state, err := p.State()
	if err != nil {
		return nil
	}
	var names []string
	for _, c := range state.Children {
		service, _, _ := strings.Cut(c.Name, "-")
		if slices.Contains(services, service) {
			names = append(names, c.Name)
		}
	}
	return names
}

// count waits for the last order, reads the histograms and the topics, and leaves
// out what a consumer handled that is gone.
func (p *play) count(ctx context.Context) error {
	p.Say("%s: waiting for the last of %d orders", p.way, len(p.placed))
	books, err := p.Reconcile(ctx, slices.Collect(maps.Keys(p.placed)))
	if err != nil {
		return err
	}
	p.differences = len(books.Differences)
	for _, child := range p.children("inventory") {
		m, err := p.Scrape(ctx, child)
		if err != nil {
			return err
		}
		p.wait = m.Histogram(metricBrokerWait, "group="+group, "topic="+commands).Add(p.wait)
		p.age = m.Histogram(metricEventAge, "group="+group, "topic="+commands).Add(p.age)
	}
	state, err := p.State()
	if err != nil {
		return err
	}
	if p.all, err = read(ctx, state.Endpoints.Kafka); err != nil {
		return err
	}
	for _, w := range p.all {
		if w.answered.After(p.since) {
			p.waits = append(p.waits, w)
		}
	}
	return nil
}
