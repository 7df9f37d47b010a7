// Package batch turns concurrent calls into batches without a timer: the calls
// that arrive while one batch is in flight form the next. A lone call is a
// batch of one and waits for nothing; under load the batches grow by themselves
// and share their round trips and their commit.
package batch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// ErrFull means that the queue holds as many calls as it may: nothing was done.
var ErrFull = errors.New("queue is full")

// ErrStopped means that the batcher no longer runs: nothing was done.
var ErrStopped = errors.New("batcher has stopped")

// Result of one item of a batch.
type Result[O any] struct {
	Value O
	Err   error
}

// Flush handles one batch and returns one result per item, in order. Its
// context is the batcher's own, not a caller's: a caller that gives up takes
// nobody with it. It is bounded by Config.Timeout.
type Flush[I, O any] func(ctx context.Context, items []I) []Result[O]

// Config of a Batcher; every field is needed.
type Config struct {
	Name     string        // of its spans
	MaxBatch int           // items in one flush
	MaxQueue int           // items waiting; beyond it Do answers ErrFull at once
	Workers  int           // flushes in flight at the same time
	Timeout  time.Duration // of one flush
}

// Batcher collects items. Run must run for Do to answer.
type Batcher[I, O any] struct {
	cfg     Config
	flush   Flush[I, O]
	queue   chan call[I, O]
	stopped chan struct{}
}

type call[I, O any] struct {
	item I
	done chan Result[O]
	span trace.SpanContext // the caller's
}

// New makes a batcher around flush.
func New[I, O any](cfg Config, flush Flush[I, O]) *Batcher[I, O] {
	return &Batcher[I, O]{cfg: cfg, flush: flush, queue: make(chan call[I, O], cfg.MaxQueue), stopped: make(chan struct{})}
}

// Do hands in one item and waits for its result. When ctx ends first, the
// outcome is unknown to the caller: the item may still be handled.
func (b *Batcher[I, O]) Do(ctx context.Context, item I) (O, error) {
	var zero O
	c := call[I, O]{item: item, done: make(chan Result[O], 1), span: trace.SpanContextFromContext(ctx)}
	select {
	case <-b.stopped:
		return zero, ErrStopped
	default:
	}
	select {
	case b.queue <- c:
	default:
		return zero, ErrFull
	}
	select {
	case r := <-c.done:
		return r.Value, r.Err
	case <-ctx.Done():
		return zero, ctx.Err()
	case <-b.stopped:
		// The last flush may have answered at the same moment.
		select {
		case r := <-c.done:
			return r.Value, r.Err
		default:
			return zero, ErrStopped
		}
	}
}

// Len is the number of items that wait.
func (b *Batcher[I, O]) Len() int { return len(b.queue) }

// Run flushes until ctx ends, then flushes what is still queued and returns.
// Stop the callers first: what comes later is answered ErrStopped.
func (b *Batcher[I, O]) Run(ctx context.Context) error {
	done := make(chan struct{})
	for range b.cfg.Workers {
		go func() {
			defer func() { done <- struct{}{} }()
			b.work(ctx)
		}()
	}
	for range b.cfg.Workers {
		<-done
	}
	close(b.stopped)
	return nil
}

func (b *Batcher[I, O]) work(ctx context.Context) {
	for {
		var first call[I, O]
		select {
		case first = <-b.queue:
		case <-ctx.Done():
			select {
			case first = <-b.queue: // drain what was accepted
			default:
				return
			}
		}
		calls := b.collect(first)
		b.answer(ctx, calls)
	}
}

// collect takes what waits, without waiting for more.
func (b *Batcher[I, O]) collect(first call[I, O]) []call[I, O] {
	calls := append(make([]call[I, O], 0, min(b.cfg.MaxBatch, 1+len(b.queue))), first)
	for len(calls) < b.cfg.MaxBatch {
		select {
		case c := <-b.queue:
			calls = append(calls, c)
		default:
			return calls
		}
	}
	return calls
}

// answer flushes and hands out the results. A panic in the flush is the error
// of every item of its batch, and of nothing else.
func (b *Batcher[I, O]) answer(ctx context.Context, calls []call[I, O]) {
	items := make([]I, len(calls))
	for i, c := range calls {
		items[i] = c.item
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.cfg.Timeout)
	defer cancel()
	ctx, span := b.trace(ctx, calls)
	results, err := b.guarded(ctx, items)
	if span != nil {
		span.End()
	}
	for i, c := range calls {
		if err != nil {
			c.done <- Result[O]{Err: err}
			continue
		}
		c.done <- results[i]
	}
}

// trace spans a flush in the first recorded trace among its callers', with links
// to the others. It is nil when nobody records.
func (b *Batcher[I, O]) trace(ctx context.Context, calls []call[I, O]) (context.Context, trace.Span) {
	var span trace.Span
	for _, c := range calls {
		switch {
		case !c.span.IsSampled():
		case span == nil:
			ctx, span = otel.Tracer("example.com/ballast/pkg/batch").Start(trace.ContextWithSpanContext(ctx, c.span), "flush "+b.cfg.Name,
				trace.WithAttributes(attribute.Int("batch.items", len(calls))))
		default:
			span.AddLink(trace.Link{SpanContext: c.span})
		}
	}
	return ctx, span
}

func (b *Batcher[I, O]) guarded(ctx context.Context, items []I) (results []Result[O], err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a flush: %v", p)
		}
	}()
	results = b.flush(ctx, items)
	if len(results) != len(items) {
		return nil, fmt.Errorf("flush returned %d results for %d items", len(results), len(items))
	}
	return results, nil
}
