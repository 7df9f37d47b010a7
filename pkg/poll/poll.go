// Package poll keeps the last answer to a question that another machine answers.
// A loop asks; whoever wants to know reads, and never waits: a scrape of the
// metrics must not hang because the database does, or they are missing just when
// they are needed.
package poll

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// Question is asked by Run; all but Rest is required.
type Question[T any] struct {
	// Name is what is asked for, in the log.
	Name string
	// Ask gets the answer within Timeout.
	Ask     func(context.Context) (T, error)
	Timeout time.Duration
	// Every is the pause between two questions. It lasts at least Rest times as
	// long as the question took, so that one whose answer gets slower costs its
	// server no more than a share of its time.
	Every time.Duration
	Rest  int
	// Keep is how old an answer gets before it is forgotten: an alert that sees an
	// old figure for ever is worse than one that sees none.
	Keep time.Duration
	// Logger takes one line when there has been no answer for that long.
	Logger *slog.Logger

	last atomic.Pointer[answer[T]]
}

type answer[T any] struct {
	value T
	asked time.Time
}

// Run asks at once and then again and again, until ctx ends. Then nothing is known.
func (q *Question[T]) Run(ctx context.Context) error {
	defer q.last.Store(nil)
	lately, told := time.Now(), false
	for {
		began := time.Now()
		asked, cancel := context.WithTimeout(ctx, q.Timeout)
		value, err := q.Ask(asked)
		cancel()
		if err == nil {
			q.last.Store(&answer[T]{value, began})
			lately, told = began, false
		} else if !told && ctx.Err() == nil && time.Since(lately) > q.Keep {
			told = true
			q.Logger.WarnContext(ctx, "a figure is not known any more", "figure", q.Name, "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(max(q.Every, time.Duration(q.Rest)*time.Since(began))):
		}
	}
}

// Answer is the last one, and whether there is one that is not too old. It may be
// called at any time.
func (q *Question[T]) Answer() (value T, known bool) {
	a := q.last.Load()
	if a == nil || time.Since(a.asked) > q.Keep {
		return value, false
	}
	return a.value, true
}
