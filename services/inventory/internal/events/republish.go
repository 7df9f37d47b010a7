package events

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// Republisher announces the whole catalogue again and again, so that whoever
// keeps a copy gets over anything that was lost on the way. One process at a
// time does it; two would be wasteful and harmless, since versions decide.
type Republisher struct {
	// Every is the time between two rounds.
	Every time.Duration
	// Empty tells whether the topic holds nothing at all: then the first round
	// does not wait. A new broker beside an old database is such a case.
	Empty func(ctx context.Context) (bool, error)
	// Republish announces all products and returns their number.
	Republish func(ctx context.Context) (int, error)
	Logger    *slog.Logger
}

// retryPause is the time until the next try after one that failed; it is chosen by
// judgement: orders without products waits for it.
const retryPause = time.Second

// Lead republishes until ctx ends, as the holder of the lease. Its epoch guards
// nothing: see above.
func (r *Republisher) Lead(ctx context.Context, _ int64) error {
	pause := r.untilFirst(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = r.Every
		if n, err := r.Republish(ctx); err != nil {
			r.Logger.WarnContext(ctx, "products not republished", "error", err, "count", n)
			pause = min(retryPause, r.Every)
		} else {
			r.Logger.InfoContext(ctx, "products republished", "count", n)
		}
	}
}

// untilFirst returns how long the first round can wait. A topic that was made a
// moment ago is not known to every broker yet, hence the tries.
func (r *Republisher) untilFirst(ctx context.Context) time.Duration {
	for {
		empty, err := r.Empty(ctx)
		if err == nil && empty {
			return 0
		}
		if err == nil || ctx.Err() != nil {
			return r.Every
		}
		r.Logger.WarnContext(ctx, "can't tell yet whether the products topic is empty", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(retryPause):
		}
	}
}

// TopicEmpty tells whether a topic holds no record.
func TopicEmpty(ctx context.Context, adm *kadm.Client, topic string) (bool, error) {
	ends, err := adm.ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return false, fmt.Errorf("end offsets of %s: %w", topic, err)
	}
	empty := true
	ends.Each(func(o kadm.ListedOffset) { empty = empty && o.Offset == 0 })
	return empty, nil
}
