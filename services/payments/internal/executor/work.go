package executor

import (
	"context"
	"math/rand/v2"
	"time"

	"example.com/ballast/services/payments/internal/payment"
)

const (
	// quickTries are made without giving the intent back: a key in use or a lost
	// connection is mostly over within them. Chosen by judgement: with the delay
	// below they hold a worker for a tenth of a second.
	quickTries = 3
	quickDelay = 20 * time.Millisecond
	// A call to be repeated later waits between nothing and laterDelay doubled by
	// every attempt, at most laterMax.
	laterDelay = 250 * time.Millisecond
	laterMax   = 30 * time.Second
)

// work carries one intent on until it is settled, superseded or given back.
func (e *Executor) work(ctx context.Context, it item) {
	// A call in flight is finished when the process stops: its result is worth more
	// than the moment that it takes.
	calls := context.WithoutCancel(ctx)
	p := it.payment
	for tries := 0; ; {
		now := time.Now()
		call := payment.Next(p, now)
		if call.Operation == payment.None || ctx.Err() != nil || now.Add(e.cfg.CallTimeout).After(it.expires) {
			e.save(calls, p, p, 0)
			return
		}
		result := e.call(calls, call)
		next := payment.Apply(p, call.Operation, result, time.Now())
		switch {
		case next.Version != p.Version:
			e.save(calls, p, next, 0)
			return
		case next.IntentID != p.IntentID:
			// Stored before it is confirmed: of all intents that were ever created for the
			// order, this one alone will take money.
			if !e.save(calls, p, next, payment.KeepLease) {
				return
			}
		case result.Outcome != payment.Done || payment.Next(next, now).Operation == call.Operation:
			if tries++; tries >= quickTries {
				e.save(calls, p, next, later(next.Attempts))
				return
			}
			e.metrics.retried(ctx, call.Operation)
			pause(ctx, rand.N(quickDelay<<tries))
		}
		p = next
	}
}

func (e *Executor) call(ctx context.Context, call payment.Call) payment.Result {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.CallTimeout)
	defer cancel()
	begin := time.Now()
	result := e.cfg.Gateway.Do(ctx, call)
	e.metrics.called(ctx, call.Operation, result.Outcome, time.Since(begin))
	return result
}

// save stores the change and reports whether it was: not when another has
// settled or voided the payment since.
func (e *Executor) save(ctx context.Context, before, after payment.Payment, lease time.Duration) bool {
	stored := e.saver.save(payment.Change{From: before.Version, Payment: after, Lease: lease})
	switch {
	case !stored:
		e.metrics.supersedes.Add(ctx, 1)
	case after.Version != before.Version:
		e.metrics.settled(ctx, after.Status)
	}
	return stored
}

// later returns how long to wait before the next claim, with full jitter.
func later(attempts int) time.Duration {
	limit := laterMax
	if shift := attempts / quickTries; shift < 8 {
		limit = min(limit, laterDelay<<shift)
	}
	return rand.N(limit)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
