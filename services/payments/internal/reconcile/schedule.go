package reconcile

import (
	"context"
	"time"
)

const (
	// firstWindow is how far the first scheduled run looks back: it covers a
	// restart. The whole history is an operator's Reconcile.
	firstWindow = time.Hour
	// overlap of one run with the one before: what was open then is settled now.
	overlap = 10 * time.Minute
)

// Schedule runs at the interval until ctx ends. A run that fails, because one of
// the books can't be read, is logged, and the next one covers its time, too.
func (r *Reconciler) Schedule(ctx context.Context, every time.Duration) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	from := time.Now().Add(-firstWindow)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		began := time.Now()
		report, err := r.Run(ctx, from)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			r.cfg.Logger.WarnContext(ctx, "reconciliation could not be done", "error", err)
			continue
		}
		r.cfg.Logger.InfoContext(ctx, "reconciled", "compared", report.Compared, "differences", len(report.Differences),
			"took", time.Since(began).Round(time.Millisecond).String())
		from = began.Add(-overlap)
	}
}
