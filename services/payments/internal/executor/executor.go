// Package executor carries open payments on: it asks the provider what comes
// next, outside any transaction, and stores what it says.
//
// An intent comes in by two doors. Offer hands over those that this process has
// just inserted, already leased to it. The poll claims those whose lease has
// expired: a process that died between any two steps, or a call that is to be
// repeated later. Both lead to the same bounded queue and the same workers.
//
//   - A worker holds one intent at a time, never past its lease, and never a
//     transaction while it calls.
//   - Results are stored in batches without a timer: those that arrive while a
//     commit is in flight form the next one.
//   - A result that is stored over another version than it was asked for is
//     dropped: somebody else has settled the payment, or voided it.
//   - The queue is memory only. Whatever is lost with it is found again by its lease.
package executor

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"

	"example.com/ballast/pkg/batch"
	"example.com/ballast/services/payments/internal/payment"
)

// Gateway asks the provider one thing. It does not fail: not to know what
// became of a call is a result, too.
type Gateway interface {
	Do(ctx context.Context, call payment.Call) payment.Result
}

// Store keeps payments.
type Store interface {
	// Claim leases up to limit open payments whose lease has expired.
	Claim(ctx context.Context, limit int, lease time.Duration) ([]payment.Payment, error)
	// CountOpen returns the number of open payments, those of all processes, and
	// apart from them that of stuck ones. It counts neither further than limit.
	CountOpen(ctx context.Context, limit int) (open, stuck int, err error)
	// Save stores each change over the version that it names, with its ledger
	// entries and its answer, all in one transaction. It tells which were stored.
	Save(ctx context.Context, changes []payment.Change) (stored []bool, err error)
}

// Config of an Executor; every field without a default is required.
type Config struct {
	Store   Store
	Gateway Gateway
	Logger  *slog.Logger
	Meter   metric.Meter
	// Concurrency is the number of calls in flight to the provider, at most.
	Concurrency int
	// MaxOpen is the number of open intents, in memory or in the store, from
	// which Full is true.
	MaxOpen int
	// Lease is for how long an intent belongs to this process. It holds for a
	// handful of calls and the wait before them.
	Lease time.Duration
	// CallTimeout ends one call with its retries; the outcome is then unknown.
	CallTimeout time.Duration
	// Poll is how often expired leases are looked for.
	Poll time.Duration
	// Transient tells an error of the store that a repetition can mend.
	Transient func(error) bool
}

// Executor runs open payments.
type Executor struct {
	cfg     Config
	metrics metrics
	queue   chan item
	saver   *batch.Batcher[payment.Change, bool]
	// open counts the intents from the offer to the stored result, stored those
	// in the database at the last poll: calls that are to be repeated later wait
	// there alone, and when the provider is away they are nearly all.
	open    atomic.Int64
	stored  atomic.Int64
	stuck   atomic.Int64
	stopped atomic.Bool
	mu      sync.Mutex
	held    map[holding]struct{} // what is in memory, so that a poll brings nothing twice
}

// item is an intent with the moment at which its lease ends.
type item struct {
	payment payment.Payment
	expires time.Time
}

type holding struct {
	order   string
	version int64
}

// New returns an executor that Run starts.
func New(cfg Config) *Executor {
	e := &Executor{
		cfg: cfg,
		// Twice what pauses the consumer: the batch that is under way still fits.
		queue: make(chan item, 2*cfg.MaxOpen),
		held:  make(map[holding]struct{}),
	}
	e.metrics = newMetrics(cfg.Meter, e.Open, e.stuck.Load)
	e.saver = e.newSaver()
	return e
}

// Offer hands over open payments after the commit that leased them to this
// process; leased is a moment before that commit. What finds no room is left to
// its lease.
func (e *Executor) Offer(ctx context.Context, payments []payment.Payment, leased time.Time) {
	if e.stopped.Load() { // the consumer's last batch
		e.release(ctx, payments)
		return
	}
	for _, p := range payments {
		if !e.hold(p) {
			continue
		}
		select {
		case e.queue <- item{payment: p, expires: leased.Add(e.cfg.Lease)}:
		default:
			e.drop(p)
			e.metrics.overflows.Add(ctx, 1)
		}
	}
}

// Open returns the number of intents in memory.
func (e *Executor) Open() int { return int(e.open.Load()) }

// Full reports whether the consumer must pause: the provider takes less than comes in.
func (e *Executor) Full() bool {
	return e.Open() >= e.cfg.MaxOpen || int(e.stored.Load()) >= e.cfg.MaxOpen
}

// Run works until ctx ends. Then it finishes the calls in flight, stores their
// results and gives the leases of the others back.
func (e *Executor) Run(ctx context.Context) error {
	saving, stopSaving := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSaving()
	saved := make(chan error, 1)
	go func() { saved <- e.saver.Run(saving) }()

	var group sync.WaitGroup
	group.Go(func() { e.poll(ctx) })
	for range e.cfg.Concurrency {
		group.Go(func() { e.worker(ctx) })
	}
	group.Wait()
	e.giveBack(saving)
	stopSaving()
	return <-saved
}

func (e *Executor) worker(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case it := <-e.queue:
			e.work(ctx, it)
			e.drop(it.payment)
		}
	}
}

// poll looks for expired leases at the interval, and at once again as long as
// it finds as many as it asked for.
func (e *Executor) poll(ctx context.Context) {
	ticker := time.NewTicker(e.cfg.Poll)
	defer ticker.Stop()
	for {
		for e.claim(ctx) {
		}
		if open, stuck, err := e.cfg.Store.CountOpen(ctx, e.cfg.MaxOpen); err == nil { // an error has been logged by the claim
			e.stored.Store(int64(open))
			e.stuck.Store(int64(stuck))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// maxClaim bounds one claim and its transaction; a poll makes several.
const maxClaim = 256

func (e *Executor) claim(ctx context.Context) (more bool) {
	limit := min(maxClaim, e.cfg.MaxOpen-e.Open())
	if limit <= 0 || ctx.Err() != nil {
		return false
	}
	leased := time.Now()
	claimed, err := e.cfg.Store.Claim(ctx, limit, e.cfg.Lease)
	if err != nil {
		if ctx.Err() == nil {
			e.cfg.Logger.WarnContext(ctx, "claim of open payments failed, trying again", "error", err)
		}
		return false
	}
	e.metrics.claims.Add(ctx, int64(len(claimed)))
	e.Offer(ctx, claimed, leased)
	return len(claimed) == limit
}

// giveBackTime is for one short transaction at the end.
const giveBackTime = 2 * time.Second

// giveBack ends the leases of what was not begun, so that another process need
// not wait for them.
func (e *Executor) giveBack(ctx context.Context) {
	e.stopped.Store(true)
	var left []payment.Payment
	for {
		select {
		case it := <-e.queue:
			left = append(left, it.payment)
			e.drop(it.payment)
			continue
		default:
		}
		break
	}
	e.release(ctx, left)
}

func (e *Executor) release(ctx context.Context, payments []payment.Payment) {
	ctx, cancel := context.WithTimeout(ctx, giveBackTime)
	defer cancel()
	for page := range slices.Chunk(payments, maxSave) {
		changes := make([]payment.Change, len(page))
		for i, p := range page {
			changes[i] = payment.Change{From: p.Version, Payment: p}
		}
		if _, err := e.cfg.Store.Save(ctx, changes); err != nil {
			e.cfg.Logger.WarnContext(ctx, "leases could not be given back; they expire", "count", len(payments), "error", err)
			return
		}
	}
}

func (e *Executor) hold(p payment.Payment) bool {
	h := holding{order: p.OrderID, version: p.Version}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.held[h]; ok {
		return false
	}
	e.held[h] = struct{}{}
	e.open.Add(1)
	return true
}

func (e *Executor) drop(p payment.Payment) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.held, holding{order: p.OrderID, version: p.Version})
	e.open.Add(-1)
}
