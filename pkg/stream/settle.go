package stream

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"time"
)

// settle brings the batch to its end: each record is handled, parked,
// dead-lettered or left among the letters that wait. It returns what is left
// when a transient error stands in the way, in order, to be tried again.
func (c *Consumer) settle(ctx context.Context, batch []Record) (rest []Record) {
	batch, err := c.route(ctx, batch)
	if err != nil {
		c.hindrance = err
		return batch
	}
	if len(batch) == 0 {
		return nil
	}
	err = c.call(ctx, batch)
	switch c.classify(err) {
	case done:
		c.faults.succeeded(time.Now())
		finish(batch)
		return nil
	case rejected:
		return c.reject(ctx, batch, err)
	case fault:
		return c.bisect(ctx, batch, err)
	default:
		c.hindrance = err
		return batch
	}
}

// route takes out what must not reach the handler: unfit records go to the DLQ,
// records of parked keys to the retry topic, and those that are there already
// stay there. With an error, it returns what is left to be done.
func (c *Consumer) route(ctx context.Context, batch []Record) ([]Record, error) {
	now := time.Now()
	first := 0
	for first < len(batch) && !batch[first].diverted(now) {
		first++
	}
	if first == len(batch) {
		return batch, nil
	}
	kept := slices.Clone(batch[:first])
	var unfit []letter
	var parked []*Record
	for i := first; i < len(batch); i++ {
		switch r := &batch[i]; {
		case !r.diverted(now):
			kept = append(kept, *r)
		case r.unfit != nil:
			unfit = append(unfit, letter{r, r.reason, r.unfit})
		case r.held == nil:
			parked = append(parked, r)
		}
	}
	if err := c.deadLetter(ctx, unfit...); err != nil {
		return batch, err
	}
	if err := c.park(ctx, ReasonParked, nil, time.Time{}, parked...); err != nil {
		return without(batch, unfit), err
	}
	return kept, nil
}

// diverted reports whether r must not reach the handler now.
func (r *Record) diverted(now time.Time) bool {
	switch {
	case r.unfit != nil:
		return true
	case r.held != nil:
		return r.held.key.due.After(now)
	default:
		return r.lane.parks(r.raw.Key)
	}
}

// call runs the handler under its deadline and turns a panic into an error.
func (c *Consumer) call(ctx context.Context, batch []Record) (err error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.HandlerTimeout)
	defer cancel()
	start := time.Now()
	call := ctx
	var spans []processing
	defer func() {
		if p := recover(); p != nil {
			err = &panicked{p, debug.Stack()}
		}
		outcome := c.classify(err)
		endSpans(spans, batch, err, outcome)
		c.metrics.handled(call, batch, c.polled, start, outcome)
		if outcome == done {
			c.metrics.taken(ctx, batch, start)
		}
	}()
	call, spans = c.startSpans(ctx, batch)
	return c.cfg.Handler(call, batch)
}

// reject dead-letters the records that the handler named and settles the others.
func (c *Consumer) reject(ctx context.Context, batch []Record, err error) []Record {
	named := make(map[int]error)
	rejections(err, named)
	var letters []letter
	for i := range batch {
		if cause, ok := named[i]; ok {
			letters = append(letters, letter{&batch[i], ReasonRejected, cause})
		}
	}
	if len(letters) == 0 {
		return c.bisect(ctx, batch, fmt.Errorf("handler rejected a record that is not in its batch of %d: %w", len(batch), err))
	}
	if err := c.deadLetter(ctx, letters...); err != nil {
		c.hindrance = err
		return batch
	}
	return c.settle(ctx, without(batch, letters))
}

// bisect finds the records that a fault comes from, the earlier half first, so
// that a key is parked before its later records come up.
func (c *Consumer) bisect(ctx context.Context, batch []Record, err error) []Record {
	if len(batch) == 1 {
		if err := c.setAside(ctx, &batch[0], err); err != nil {
			c.hindrance = err
			return batch
		}
		return nil
	}
	left, right := batch[:len(batch)/2], batch[len(batch)/2:]
	if rest := c.settle(ctx, left); len(rest) > 0 {
		return slices.Concat(rest, right)
	}
	return c.settle(ctx, right)
}

func finish(batch []Record) {
	for i := range batch {
		if r := &batch[i]; r.held != nil {
			r.lane.finish(r.held)
		}
	}
}
