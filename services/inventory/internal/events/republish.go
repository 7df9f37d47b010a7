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

// Lead republishes until ctx ends, as the holder of the lease. A round that fails
// is made up by the next. The epoch guards nothing: see above.
func (r *Republisher) Lead(ctx context.Context, _ int64) error {
	if empty, err := r.Empty(ctx); err != nil {
		r.Logger.WarnContext(ctx, "can't tell whether the products topic is empty", "error", err)
	} else if empty {
		r.round(ctx)
	}
	ticker := time.NewTicker(r.Every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			r.round(ctx)
		}
	}
}

func (r *Republisher) round(ctx context.Context) {
	n, err := r.Republish(ctx)
	if err != nil {
		r.Logger.WarnContext(ctx, "products not republished", "error", err, "published", n)
		return
	}
	r.Logger.InfoContext(ctx, "products republished", "products", n)
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
