package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"sync"
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
}

// Config of a Reconciler; all of it is required but Slice and Page.
type Config struct {
	Provider Provider
	Book     Book
	Logger   *slog.Logger
	// Grace is how old money must be to count.
	Grace time.Duration
	// Found is told the result of each run, for the metrics, and all differences
	// between payments that are known and have not gone away.
	Found func(ctx context.Context, r payment.Reconciliation, standing []payment.Difference)
	// Slice is how many postings are compared at once; it bounds the memory: the
	// default of 10,000 takes a few megabytes.
	Slice int
	// Page is from when on Run ends with the slice that it is at. The default of 2 s
	// is far below the deadline of a call: a slice takes seconds itself.
	Page time.Duration
}

// Reconciler compares one pair of books; its runs take turns.
type Reconciler struct {
	cfg Config
	mu  sync.Mutex
	// undecided were still on their way: the next scheduled run looks at them
	// again, because its own time begins where the last one's ended.
	undecided map[suspected]struct{}
	// standing are the differences that were found. Each scheduled run looks at them
	// again, whatever its time: one is reported until somebody has mended it.
	standing map[suspected][]payment.Difference
}

// New returns a reconciler.
func New(cfg Config) *Reconciler {
	cfg.Slice, cfg.Page = cmp.Or(cfg.Slice, 10_000), cmp.Or(cfg.Page, 2*time.Second)
	return &Reconciler{cfg: cfg, undecided: map[suspected]struct{}{}, standing: map[suspected][]payment.Difference{}}
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

// Run compares everything from a mark on, or as much as fits into a call.
func (r *Reconciler) Run(ctx context.Context, from payment.Mark) (payment.Reconciliation, error) {
	page := span{start: from, until: time.Now().Add(-r.cfg.Grace), budget: r.cfg.Page, whole: true}
	report, err := r.compare(ctx, page)
	if err != nil {
		return payment.Reconciliation{}, fmt.Errorf("reconcile: %w", err)
	}
	return report, nil
}

// span is what one run compares.
type span struct {
	// start is where it begins; postings before from are left out.
	start       payment.Mark
	from, until time.Time
	// budget ends it early, unless it is zero.
	budget time.Duration
	whole  bool // of the whole history, of which this may be the last page
}

// compare compares what was made or posted in a span.
func (r *Reconciler) compare(ctx context.Context, s span) (payment.Reconciliation, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	run := &run{Reconciler: r, suspects: map[suspected]struct{}{}}
	maps.Copy(run.suspects, r.undecided)
	if !s.whole { // An operator's pages each tell what they find themselves.
		for known := range r.standing {
			run.suspects[known] = struct{}{}
		}
	}
	if err := run.slices(ctx, s); err != nil {
		return payment.Reconciliation{}, err
	}
	if err := run.examine(ctx); err != nil {
		return payment.Reconciliation{}, err
	}
	if s.whole && run.report.Next == (payment.Mark{}) { // The sum takes longer with every order: not on a schedule.
		var err error
		if run.report.Debits, run.report.Credits, err = r.cfg.Book.Totals(ctx); err != nil {
			return payment.Reconciliation{}, err
		}
		if d, c := run.report.Debits, run.report.Credits; d != c {
			run.differ(ctx, suspected{}, problem{payment.DiffersLedger, fmt.Sprintf("the ledger's debits are %d and its credits %d", d, c)})
		}
	}
	r.cfg.Found(ctx, run.report, slices.Concat(slices.Collect(maps.Values(r.standing))...))
	return run.report, nil
}

// run is one run's state.
type run struct {
	*Reconciler

	report   payment.Reconciliation
	suspects map[suspected]struct{}
}

// suspected names what looks different: either may be empty.
type suspected struct{ order, intent string }

func (r *run) suspect(order, intent string) {
	if len(r.suspects) < maxSuspects {
		r.suspects[suspected{order: order, intent: intent}] = struct{}{}
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
