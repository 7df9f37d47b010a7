package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"example.com/ballast/services/payments/internal/payment"
)

// ErrMissing is what Provider.Intent fails with when the provider has no such intent.
var ErrMissing = errors.New("the provider has no such payment intent")

// Provider reads the provider's book. The lists cover what was made in
// [from, until] and stop at their first error; a zero from means everything.
type Provider interface {
	Intents(ctx context.Context, from, until time.Time) iter.Seq2[Intent, error]
	Refunds(ctx context.Context, from, until time.Time) iter.Seq2[Refund, error]
	// Intent reads one intent without its refunds.
	Intent(ctx context.Context, id string) (Intent, error)
}

// Book reads our side.
type Book interface {
	// Postings reads what was posted in [from, until) behind an entry id, in order.
	Postings(ctx context.Context, from, until time.Time, after int64, limit int) ([]payment.Posting, error)
	// Accounts reads what is known about orders; those never heard of are missing.
	Accounts(ctx context.Context, orders []string) (map[string]payment.Account, error)
	// Totals adds up the whole ledger in minor units, both above zero.
	Totals(ctx context.Context) (debits, credits int64, err error)

	// Suspects reads what earlier comparisons have left, of any process, and up to
	// when the books have been compared.
	Suspects(ctx context.Context, limit int) (suspects []payment.Suspect, until time.Time, err error)
	// Suspect adds to them.
	Suspect(ctx context.Context, found []payment.Suspect) error
	// Compared stores how far the books have been compared, with what was found and
	// what is settled. It fails when another process leads since epoch.
	Compared(ctx context.Context, epoch int64, until time.Time, found, settled []payment.Suspect) error
}

// Config of a Reconciler; all of it is required but Found, Slice and Page.
type Config struct {
	Provider Provider
	Book     Book
	Logger   *slog.Logger
	// Grace is how old money must be to count.
	Grace time.Duration
	// Found is told the result of each scheduled run. It has all differences between
	// payments that are known and have not been mended.
	Found func(ctx context.Context, r payment.Reconciliation)
	// Slice is how many postings are compared at once; it bounds the memory: the
	// default of 10,000 takes a few megabytes.
	Slice int
	// Page is from when on Run ends with the slice that it is at. The default of 2 s
	// is far below the deadline of a call: a slice takes seconds itself.
	Page time.Duration
}

// Reconciler compares one pair of books; its runs take turns. What they leave is
// in the store, where the next one finds it, of this process or another.
type Reconciler struct {
	cfg   Config
	known atomic.Pointer[Known]

	mu sync.Mutex
	// told are the differences that this process has logged: once each.
	told map[payment.Suspect][]payment.Difference
}

// New returns a reconciler.
func New(cfg Config) *Reconciler {
	cfg.Slice, cfg.Page = cmp.Or(cfg.Slice, 10_000), cmp.Or(cfg.Page, 2*time.Second)
	if cfg.Found == nil {
		cfg.Found = func(context.Context, payment.Reconciliation) {}
	}
	return &Reconciler{cfg: cfg, told: map[payment.Suspect][]payment.Difference{}}
}

const (
	// chunk is how many accounts are read at once.
	chunk = 500
	// margin is how long before its posting an intent is mostly made. What is older
	// is found alone; the margin only saves calls, and each second of it costs some.
	margin = 10 * time.Second
	// maxSuspects bounds the calls of one run. More than this means that a whole
	// book is missing, which the first of them show as well.
	maxSuspects = 1000
)

// Run compares everything from a mark on, or as much as fits into a call. Each of
// an operator's pages tells what it finds itself, and the schedule from then on.
func (r *Reconciler) Run(ctx context.Context, from payment.Mark) (payment.Reconciliation, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	run := r.begin(nil)
	err := run.compare(ctx, span{start: from, until: time.Now().Add(-r.cfg.Grace), budget: r.cfg.Page})
	if err == nil && run.report.Next == (payment.Mark{}) { // The sum takes longer with every order: not on a schedule.
		err = run.totals(ctx)
	}
	if err == nil && len(run.differing) > 0 {
		err = r.cfg.Book.Suspect(ctx, run.differing)
	}
	if err != nil {
		return payment.Reconciliation{}, fmt.Errorf("reconcile: %w", err)
	}
	return run.report, nil
}

// span is what one run compares.
type span struct {
	// start is where it begins; postings before from are left out.
	start       payment.Mark
	from, until time.Time
	// budget ends it early, unless it is zero.
	budget time.Duration
}

// run is one run's state.
type run struct {
	*Reconciler

	report   payment.Reconciliation
	suspects map[payment.Suspect]struct{}
	// What became of them: undecided are still on their way.
	undecided, differing []payment.Suspect
}

func (r *Reconciler) begin(suspects []payment.Suspect) *run {
	run := &run{Reconciler: r, suspects: make(map[payment.Suspect]struct{}, len(suspects))}
	for _, s := range suspects {
		run.suspects[s] = struct{}{}
	}
	return run
}

// compare compares what was made or posted in a span.
func (r *run) compare(ctx context.Context, s span) error {
	if err := r.slices(ctx, s); err != nil {
		return err
	}
	return r.examine(ctx)
}

func (r *run) totals(ctx context.Context) (err error) {
	if r.report.Debits, r.report.Credits, err = r.cfg.Book.Totals(ctx); err != nil {
		return err
	}
	if d, c := r.report.Debits, r.report.Credits; d != c {
		r.differ(ctx, payment.Suspect{}, problem{payment.DiffersLedger, fmt.Sprintf("the ledger's debits are %d and its credits %d", d, c)})
	}
	return nil
}

func (r *run) suspect(order, intent string) {
	if len(r.suspects) < maxSuspects {
		r.suspects[payment.Suspect{OrderID: order, IntentID: intent}] = struct{}{}
	}
}

// slices walks the time without a gap: a slice ends where its postings do.
func (r *run) slices(ctx context.Context, s span) error {
	began := time.Now()
	for start, after := s.start.Time, s.start.Entry; ; {
		postings, err := r.cfg.Book.Postings(ctx, s.from, s.until, after, r.cfg.Slice)
		if err != nil {
			return err
		}
		end, last := s.until, len(postings) < r.cfg.Slice
		if !last {
			end, after = postings[len(postings)-1].Time, postings[len(postings)-1].EntryID
		}
		if err := r.slice(ctx, start, end, postings); err != nil || last {
			return err
		}
		start = end
		if s.budget > 0 && time.Since(began) >= s.budget {
			r.report.Next = payment.Mark{Time: start, Entry: after}
			return nil
		}
	}
}

// slice compares the provider's [start, end] with the ledger, and the postings
// with the provider's.
func (r *run) slice(ctx context.Context, start, end time.Time, postings []payment.Posting) error {
	missing := make(map[payment.Posting]struct{}, len(postings))
	intent := make(map[string]string, len(postings))
	for _, p := range postings {
		missing[identity(p)] = struct{}{}
		intent[p.IntentID] = p.OrderID
	}
	begin := start
	if !start.IsZero() {
		begin = start.Add(-margin)
	}
	var pending []Intent
	for i, err := range r.cfg.Provider.Intents(ctx, begin, end) {
		if err != nil {
			return err
		}
		delete(missing, payment.Posting{OrderID: i.OrderID, IntentID: i.ID, Kind: payment.PostingCharge, Amount: i.Received})
		if !i.Created.After(start) {
			continue // counted in the slice before
		}
		r.report.Compared++
		if pending = append(pending, i); len(pending) == chunk {
			if err := r.accounts(ctx, pending); err != nil {
				return err
			}
			pending = pending[:0]
		}
	}
	if err := r.accounts(ctx, pending); err != nil {
		return err
	}
	for f, err := range r.cfg.Provider.Refunds(ctx, begin, end) {
		if err != nil {
			return err
		}
		p := payment.Posting{OrderID: intent[f.IntentID], IntentID: f.IntentID, Kind: payment.PostingRefund, Amount: f.Amount}
		if _, ok := missing[p]; ok {
			delete(missing, p)
		} else {
			r.suspect(p.OrderID, p.IntentID)
		}
	}
	for p := range missing {
		r.suspect(p.OrderID, p.IntentID)
	}
	return nil
}

// identity is what both books must agree on.
func identity(p payment.Posting) payment.Posting {
	return payment.Posting{OrderID: p.OrderID, IntentID: p.IntentID, Kind: p.Kind, Amount: p.Amount}
}

// accounts looks the provider's intents up on our side.
func (r *run) accounts(ctx context.Context, intents []Intent) error {
	var orders []string
	for _, i := range intents {
		if i.OrderID != "" {
			orders = append(orders, i.OrderID)
		}
	}
	known, err := r.cfg.Book.Accounts(ctx, orders)
	if err != nil {
		return err
	}
	for _, i := range intents {
		if a := known[i.OrderID]; a.Payment.Status.Open() || suspect(a, i) {
			r.suspect(i.OrderID, i.ID)
		}
	}
	return nil
}
