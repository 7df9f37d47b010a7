package executor

import (
	"context"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"example.com/ballast/pkg/message"
	"example.com/ballast/services/payments/internal/payment"
)

const (
	// maxDoubts is how many outcomes other than success one hold takes: a confirm
	// that timed out, the read that did not help. Then others may have a turn.
	maxDoubts = 3
	// A payment that is given back waits between nothing and laterDelay doubled
	// with every maxDoubts attempts, at most laterMax. Chosen by judgement: a
	// hiccup costs a second, an outage of minutes few calls.
	laterDelay = 500 * time.Millisecond
	laterMax   = 30 * time.Second
	// stuckDelay is at most the time between two looks at a payment that is stuck.
	stuckDelay = time.Hour
)

// work carries one intent on until it is settled, superseded or given back.
func (e *Executor) work(ctx context.Context, it item) {
	// A call in flight is finished when the process stops: its result is worth more
	// than the moment that it takes.
	calls := context.WithoutCancel(ctx)
	p := it.payment
	if command := message.ParseTrace(p.Trace); command.IsSampled() {
		calls = trace.ContextWithRemoteSpanContext(calls, command)
	}
	for doubts := 0; ; {
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
			e.save(calls, p, next, payment.KeepLease)
			return
		case next.IntentID != p.IntentID:
			// Stored before it is confirmed: of all intents that were ever created for the
			// order, this one alone will take money.
			if !e.save(calls, p, next, payment.KeepLease) {
				return
			}
		}
		if result.Outcome != payment.Done {
			doubts++
		}
		if doubts == maxDoubts || repeats(call, payment.Next(next, now)) {
			e.giveUpForNow(calls, p, next)
			return
		}
		p = next
	}
}

// giveUpForNow stores what is known and leaves the payment to a later claim.
func (e *Executor) giveUpForNow(ctx context.Context, before, after payment.Payment) {
	wait := later(after.Attempts)
	if after.Stuck() {
		wait = stuckDelay/2 + rand.N(stuckDelay/2)
		e.cfg.Logger.ErrorContext(ctx, "payment is stuck and needs a person", "order_id", after.OrderID,
			"payment_intent_id", after.IntentID, "status", after.Status, "setbacks", after.Setbacks)
	}
	e.save(ctx, before, after, wait)
}

// repeats tells a call that would be sent again as it was: the guard has
// retried it as often as it may, so it waits for a later turn.
func repeats(a, b payment.Call) bool { return a.Operation == b.Operation && a.Key == b.Key }

// call asks the provider, as a part of the trace of the command.
func (e *Executor) call(ctx context.Context, call payment.Call) payment.Result {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.CallTimeout)
	defer cancel()
	ctx, span := e.startSpan(ctx, call)
	defer span.End()
	begin := time.Now()
	result := e.cfg.Gateway.Do(ctx, call)
	e.metrics.called(ctx, call.Operation, result.Outcome, time.Since(begin))
	span.SetAttributes(attribute.Stringer("payment.outcome", result.Outcome))
	// A decline is an answer; not to know what became of a call is an error.
	if result.Outcome != payment.Done && result.Outcome != payment.Refused {
		span.SetStatus(codes.Error, result.Outcome.String()+" "+result.Code) //nolint:forbidigo // No error: one of a few words, and a code.
	}
	return result
}

// startSpan spans a call with its repetitions, if the payment's trace is recorded.
func (e *Executor) startSpan(ctx context.Context, call payment.Call) (context.Context, trace.Span) {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return ctx, noop.Span{}
	}
	return otel.Tracer("example.com/ballast/services/payments").Start(ctx, "provider "+call.Operation.String(),
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
			attribute.String("order.id", call.Payment.OrderID), attribute.String("payment.intent", call.Payment.IntentID)))
}

// save stores the change and reports whether it was: not when another has
// settled or voided the payment since, and not when the store can't be reached
// for long.
func (e *Executor) save(ctx context.Context, before, after payment.Payment, lease time.Duration) bool {
	stored, err := e.saver.Do(ctx, payment.Change{From: before.Version, Payment: after, Lease: lease})
	switch {
	case err != nil:
		return false // logged once, with its batch
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
	if shift := attempts / maxDoubts; shift < 6 {
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
