package stream

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel"
	"golang.org/x/time/rate"

	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/message"
)

// Tuned by judgement.
const (
	backoffBase   = 20 * time.Millisecond // first pause after a transient error, at most
	backoffCap    = 2 * time.Second       // so that work goes on soon after a dependency is back
	pauseStep     = 10 * time.Millisecond // how often Config.Pause is asked
	commitTimeout = 10 * time.Second
)

// Consumer reads the topics of a group and calls its handler.
type Consumer struct {
	cfg     Config
	retryOf map[string]string // source topic -> retry topic
	metrics *metrics
	faults  allowance
	client  *kgo.Client
	log     *slog.Logger
	lags    lags

	// The loop's own.
	stalled   bool      // pending waits for a backoff
	tries     int       // failures of pending in a row
	holding   bool      // records of retry topics are held
	wake      time.Time // when the next of them is due
	hindrance error     // why the last settle left a rest
	waiting   []letter  // of pending: more than were allowed
	pressure  rate.Sometimes
	paused    string    // why nothing is taken, one of the Paused constants, or empty
	polled    time.Time // when pending was polled

	// The loop's while it blocks rebalances, else the rebalance callbacks'.
	lanes   map[place]*lane // by source partition and by retry partition
	pending []Record        // what is polled and not settled
}

// place is a partition of a topic.
type place struct {
	topic     string
	partition int32
}

// New checks cfg; nothing is connected before Run.
func New(cfg Config) (*Consumer, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("stream: %w", err)
	}
	cfg.setDefaults()
	if cfg.Meter == nil {
		cfg.Meter = otel.Meter(scope)
	}
	c := &Consumer{
		cfg:     cfg,
		retryOf: make(map[string]string, len(cfg.Topics)),
		metrics: newMetrics(cfg.Meter, cfg.Group),
		faults:  newAllowance(cfg.Kafka.MaxFaultsPerMinute),
		lanes:   make(map[place]*lane),
		// A state that may change many times a second is worth a line now and then.
		pressure: rate.Sometimes{Interval: 10 * time.Second},
		log:      cfg.Logger.With("group", cfg.Group),
	}
	for _, topic := range cfg.Topics {
		c.retryOf[topic] = kafka.RetryTopic(topic, cfg.Group)
	}
	c.lags = newLags(c)
	return c, nil
}

// Run consumes until ctx ends, then finishes the batch in hand, commits and
// leaves the group. It returns nil then; it returns an error when the consumer
// can't start. It may be called once.
func (c *Consumer) Run(ctx context.Context) error {
	topics, err := c.prepare(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("stream: %w", err)
	}
	c.client, err = kgo.NewClient(c.options(ctx, topics)...)
	if err != nil {
		return fmt.Errorf("stream: client: %w", err)
	}
	defer c.client.CloseAllowingRebalance()

	// The batch in hand outlives ctx, but not for ever.
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(c.cfg.DrainTimeout, cancel) })
	defer stop()

	shown, err := c.showLag()
	if err != nil {
		return fmt.Errorf("stream: metrics: %w", err)
	}
	defer func() { _ = shown.Unregister() }() // It has no way to fail that matters here.
	go func() { _ = c.lags.records.Run(ctx) }()
	go func() { _ = c.lags.letters.Run(ctx) }()
	c.log.Info("consuming", "topics", c.cfg.Topics)
	for ctx.Err() == nil {
		c.turn(ctx, work)
	}
	c.log.Info("consumer stopped")
	return nil
}

func (c *Consumer) options(ctx context.Context, topics []string) []kgo.Opt {
	return append(append(c.cfg.Kafka.Options(c.cfg.Group), ReplayOptions()...),
		kgo.ConsumerGroup(c.cfg.Group),
		// Several heartbeats may get lost, and the others hear soon of a rebalance.
		kgo.SessionTimeout(c.cfg.Kafka.SessionTimeout),
		kgo.HeartbeatInterval(c.cfg.Kafka.SessionTimeout/6),
		kgo.ConsumeTopics(topics...),
		kgo.Balancers(newBalancer(c.retryOf)),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMinBytes(1),
		// A partition that is assigned or resumed is fetched only when the fetch
		// that waits at its broker has come back: the default of 5 s delayed
		// takeovers by as much.
		kgo.FetchMaxWait(500*time.Millisecond),
		// Operators replay dead letters in transactions: what was aborted never
		// was. The markers at their ends are kept, because they have offsets, and
		// who waits for the end of a retry topic has to come past them.
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(),
		kgo.OnPartitionsAssigned(func(_ context.Context, client *kgo.Client, added map[string][]int32) { c.assigned(ctx, client, added) }),
		kgo.OnPartitionsRevoked(c.revoked),
		kgo.OnPartitionsLost(c.revoked),
	)
}

// turn takes one batch and settles as much of it as it can.
func (c *Consumer) turn(ctx, work context.Context) {
	defer c.client.AllowRebalance()
	switch {
	case c.stalled:
		sleep(ctx, backoff(c.tries))
		c.block()
	case c.cfg.Pause():
		c.pause(ctx, PausedBackpressure)
		sleep(ctx, pauseStep)
		return
	default:
		c.resume(ctx)
		c.poll(ctx)
	}
	if ctx.Err() != nil {
		return // What was polled last stays uncommitted.
	}
	before := c.faults.success
	rest := c.settle(work, c.pending)
	if c.stalled = len(rest)+len(c.waiting) > 0; c.stalled {
		c.leave(rest, c.faults.success.After(before))
		c.hindered(ctx)
		return
	}
	clear(c.pending) // Keeps the array for the next batch, not the records.
	c.pending = c.pending[:0]
	c.tries = 0
	c.commit(work)
	c.holding = false
	for l := range c.all() {
		c.valve(l)
		if at, ok := l.wake(); ok && (!c.holding || at.Before(c.wake)) {
			c.wake, c.holding = at, true
		}
	}
}

// all yields each lane once.
func (c *Consumer) all() iter.Seq[*lane] {
	return func(yield func(*lane) bool) {
		for at, l := range c.lanes {
			if at.topic == l.topic && !yield(l) {
				return
			}
		}
	}
}

// block keeps rebalances away without taking records: a poll that has no time
// does just that.
func (c *Consumer) block() {
	ctx, cancel := context.WithCancel(c.client.Context())
	cancel()
	c.client.PollRecords(ctx, 1)
}

// poll waits for records, for a held record to become due, or for the end of
// ctx, and leaves the next batch in pending.
func (c *Consumer) poll(ctx context.Context) {
	if c.holding {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, c.wake)
		defer cancel()
	}
	fetches := c.client.PollRecords(ctx, c.cfg.MaxBatch)
	now := time.Now()
	c.polled = now
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if p.Err != nil && ctx.Err() == nil {
			c.log.Warn("fetch failed", "topic", p.Topic, "partition", p.Partition, "error", p.Err)
		}
		l := c.lanes[place{p.Topic, p.Partition}]
		if l == nil || len(p.Records) == 0 {
			return
		}
		if p.Topic == l.topic {
			c.take(ctx, l, p.Records, now)
		} else {
			c.hold(l, p.Records)
		}
	})
	if len(c.pending) == 0 {
		for l := range c.all() {
			c.pending = l.due(c.pending, now, c.cfg.MaxBatch)
		}
	}
}

// take adds records of a source partition to the batch.
func (c *Consumer) take(ctx context.Context, l *lane, records []*kgo.Record, now time.Time) {
	for _, raw := range records {
		if raw.Attrs.IsControl() {
			continue
		}
		r := c.open(l, raw, raw, 1)
		c.metrics.age(r.observed(ctx), c.metrics.brokerWait, raw.Timestamp, now, l.attrs)
		c.pending = append(c.pending, r)
	}
	last := records[len(records)-1]
	l.next, l.epoch = last.Offset+1, last.LeaderEpoch
}

// hold keeps records of a retry partition until they are due.
func (c *Consumer) hold(l *lane, records []*kgo.Record) {
	for _, raw := range records {
		if raw.Attrs.IsControl() {
			continue
		}
		o, _ := ReadOrigin(raw)
		original := Original(raw)
		original.Topic = l.topic // also of a record that an operator wrote without an origin
		l.hold(c.open(l, raw, original, o.Attempts+1), o.NotBefore)
	}
	l.retryNext = records[len(records)-1].Offset + 1
}

// open decodes a record that was polled as raw and was original in its source
// topic. What is wrong with it is found here, and acted on when its turn comes.
func (c *Consumer) open(l *lane, raw, original *kgo.Record, attempt int) Record {
	r := Record{
		Partition: original.Partition, Offset: original.Offset, Timestamp: original.Timestamp,
		Attempt: attempt, raw: raw, lane: l,
	}
	r.Message, r.unfit = message.FromRecord(original)
	r.reason = ReasonMalformed
	if n := len(raw.Value); n > c.cfg.Kafka.MaxRecordBytes {
		r.unfit = fmt.Errorf("record is too large: its value has %d bytes, and %d are allowed", n, c.cfg.Kafka.MaxRecordBytes)
		r.reason = ReasonOversize
	}
	return r
}

// backoff is exponential with full jitter.
func backoff(tries int) time.Duration {
	limit := min(backoffBase<<min(tries, 16), backoffCap)
	return rand.N(limit) + time.Millisecond
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
