package reconcile

import (
	"context"
	"time"

	"example.com/ballast/services/payments/internal/payment"
)

// firstWindow is how far the first scheduled run looks back: it covers a change
// of the leader. What an earlier leader found before that is not looked at again,
// and stands for nobody any more: the whole history is an operator's Reconcile.
const firstWindow = 5 * time.Minute

// Schedule runs at once and then at the interval, until ctx ends: who has just begun
// to lead knows of no difference, and silence counts as one. A run that fails, because
// one of the books can't be read, is logged, and the next one covers its time, too.
func (r *Reconciler) Schedule(ctx context.Context, every time.Duration) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	from := time.Now().Add(-firstWindow)
	for {
		from = r.scheduled(ctx, from)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// scheduled runs once and returns from when on the next run has to compare.
func (r *Reconciler) scheduled(ctx context.Context, from time.Time) time.Time {
	began := time.Now()
	until := began.Add(-r.cfg.Grace)
	report, err := r.compare(ctx, span{start: payment.Mark{Time: from}, from: from, until: until})
	switch {
	case ctx.Err() != nil:
		return from
	case err != nil:
		r.cfg.Logger.WarnContext(ctx, "reconciliation could not be done", "error", err)
		return from
	}
	r.cfg.Logger.InfoContext(ctx, "reconciled", "compared", report.Compared, "differences", len(report.Differences),
		"took", time.Since(began).Round(time.Millisecond).String())
	return until
}
