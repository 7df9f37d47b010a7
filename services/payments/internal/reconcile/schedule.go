package reconcile

import (
	"context"
	"time"

	"example.com/ballast/services/payments/internal/payment"
)

// firstWindow is how far the first run of a term looks back at the least, by
// judgement: the clock of the leader before may have run ahead.
const firstWindow = 5 * time.Minute

// Known is what the leading process knows of the books.
type Known struct {
	// Until is up to when somebody has compared them.
	Until time.Time
	// Compared says that this process has, in this term; and then Differences are all
	// that are known between payments and have not been mended.
	Compared    bool
	Differences []payment.Difference
}

// Known is nil in a process that does not lead. It may be called at any time.
func (r *Reconciler) Known() *Known { return r.known.Load() }

// Schedule runs at once and then at the interval, until ctx ends: who has just begun
// to lead knows of no difference. It begins where the last term has ended, with the
// suspects that it left: a difference is reported until somebody has mended it. A run
// that fails, because one of the books can't be read, is logged; what is known stays,
// and the next run covers its time, too.
func (r *Reconciler) Schedule(ctx context.Context, epoch int64, every time.Duration) error {
	defer r.known.Store(nil)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		err := r.scheduled(ctx, epoch)
		if err != nil && ctx.Err() == nil {
			r.cfg.Logger.WarnContext(ctx, "reconciliation could not be done", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// scheduled runs once.
func (r *Reconciler) scheduled(ctx context.Context, epoch int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	began := time.Now()
	stored, from, err := r.cfg.Book.Suspects(ctx, maxSuspects)
	if err != nil {
		return err
	}
	if r.Known() == nil {
		r.known.Store(&Known{Until: from})
	}
	if window := began.Add(-firstWindow); !r.Known().Compared && window.Before(from) {
		from = window
	}
	run, until := r.begin(stored), began.Add(-r.cfg.Grace)
	if err := run.compare(ctx, span{start: payment.Mark{Time: from}, from: from, until: until}); err != nil {
		return err
	}
	left := append(run.undecided, run.differing...)
	if err := r.cfg.Book.Compared(ctx, epoch, until, left, run.settled(stored)); err != nil {
		return err
	}
	r.known.Store(&Known{Until: until, Compared: true, Differences: run.report.Differences})
	r.cfg.Found(ctx, run.report)
	r.cfg.Logger.InfoContext(ctx, "reconciled", "compared", run.report.Compared, "differences", len(run.report.Differences),
		"took", time.Since(began).Round(time.Millisecond).String())
	return nil
}
