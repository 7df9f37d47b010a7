package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"example.com/ballast/pkg/lease"
	"example.com/ballast/pkg/resilience"
)

// Config is what a relay needs. Pool, Client and Lease are required.
type Config struct {
	Pool *pgxpool.Pool
	// Client must be idempotent with acks=all and without limits on a record's
	// retries or time: see ProducerOptions. Sharing it is fine.
	Client *kgo.Client
	Lease  *lease.Lease
	// Logger, also for the lease when that has none.
	Logger *slog.Logger
	// Poll is how often the table is looked at when nobody signals. Default
	// 100 ms, which costs an idle database ten index lookups a second.
	Poll time.Duration
	// TopicPatience is how long messages for a topic that does not exist are
	// kept before they are dead. Default 15 s.
	TopicPatience time.Duration
	// AckPatience is how long Kafka may take to acknowledge a turn until that
	// counts as a failure. Default 2 s: a broker that restarts takes about one.
	AckPatience time.Duration
}

// Relay publishes the outbox of one database. Every process that writes to the
// outbox has one; one of them at a time publishes.
type Relay struct {
	Config
	wake    chan struct{} // something may be there to publish
	notify  chan struct{} // tell the relay that leads, in another process
	late    chan []int64  // rows that the scan found below the hint
	hint    atomic.Int64  // window.hint, for the scan
	unacked atomic.Int64  // rows acknowledged and not yet deleted
	epoch   atomic.Int64  // 0: another process leads
	metrics *metrics
	badly   error // why the relay can't be run
	guard   *resilience.Guard

	maxBytes int // of a record batch, which a message must not exceed

	published, dead, deadOpen, depth, age atomic.Int64
}

// Stats is what a relay knows about its outbox.
type Stats struct {
	// Epoch of the lease; 0 while another process publishes.
	Epoch int64
	// Depth is the number of committed rows not yet published, and Age how long
	// the oldest has waited. They are about a second old.
	Depth int64
	Age   time.Duration
	// DeadOpen is the number of dead rows that nobody has decided about yet.
	DeadOpen int64
	// Published and Dead count messages since this process started.
	Published, Dead int64
}

// NewRelay returns a relay that does nothing before Run.
func NewRelay(c Config) *Relay {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Lease.Logger == nil {
		c.Lease.Logger = c.Logger
	}
	if c.Poll == 0 {
		c.Poll = 100 * time.Millisecond
	}
	if c.TopicPatience == 0 {
		c.TopicPatience = 15 * time.Second
	}
	if c.AckPatience == 0 {
		c.AckPatience = 2 * time.Second
	}
	r := &Relay{
		Config: c,
		wake:   make(chan struct{}, 1),
		notify: make(chan struct{}, 1),
		late:   make(chan []int64, 1),
	}
	limit, _ := c.Client.OptValue(kgo.ProducerBatchMaxBytes).(int32)
	r.maxBytes = int(limit)
	var err error
	r.metrics, err = newMetrics(r)
	var guardErr error
	r.guard, guardErr = newGuard(c.Logger, c.AckPatience)
	r.badly = errors.Join(err, guardErr, unfit(c.Client))
	return r
}

// unfit says why a client could reorder or lose messages.
func unfit(client *kgo.Client) error {
	if off, _ := client.OptValue(kgo.DisableIdempotentWrite).(bool); off {
		return errors.New("the outbox's kafka client must be idempotent: remove kgo.DisableIdempotentWrite")
	}
	if acks, ok := client.OptValue(kgo.RequiredAcks).(kgo.Acks); ok && acks != kgo.AllISRAcks() {
		return errors.New("the outbox's kafka client must wait for all replicas: use kgo.AllISRAcks")
	}
	return nil
}

// Signal says that a transaction with messages has committed. It never blocks,
// and many signals become one.
func (r *Relay) Signal() {
	c := r.notify
	if r.epoch.Load() > 0 {
		c = r.wake
	}
	poke(c)
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // One is waiting already.
	}
}

// Stats returns the newest figures.
func (r *Relay) Stats() Stats {
	return Stats{
		Epoch:     r.epoch.Load(),
		Depth:     r.depth.Load(),
		Age:       time.Duration(r.age.Load()),
		DeadOpen:  r.deadOpen.Load(),
		Published: r.published.Load(),
		Dead:      r.dead.Load(),
	}
}

// Run relays until ctx ends. An outage of the database or of Kafka is waited
// out; an error means that the configuration is unfit.
func (r *Relay) Run(ctx context.Context) error {
	if r.badly != nil {
		return fmt.Errorf("outbox relay: %w", r.badly)
	}
	defer r.metrics.close()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.scan(ctx) })
	g.Go(func() error { return r.notifyOthers(ctx) })
	g.Go(func() error { return r.Lease.Run(ctx, r.lead) })
	return g.Wait()
}

// lead publishes while this process holds the lease.
func (r *Relay) lead(ctx context.Context, epoch int64) error {
	r.epoch.Store(epoch)
	defer r.epoch.Store(0)
	t := newTerm(r, epoch)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.listen(ctx) })
	g.Go(func() error { return t.loop(ctx) })
	return g.Wait()
}
