package executor

import (
	"context"
	"fmt"

	"example.com/ballast/pkg/resilience"
	"example.com/ballast/services/payments/internal/payment"
)

// Guarded calls a gateway through timeout, bulkhead, breaker and the one layer
// of retries at once. A call that the guard refuses is not made: not yet.
//
// Retried are calls whose outcome is unknown and which the provider does once
// whatever happens: those with a key, and reads. A confirmation is not: what
// became of it is read by the intent's id.
func Guarded(gateway Gateway, cfg resilience.Config) (Gateway, error) {
	cfg.Failure = func(err error) bool { _, ok := err.(unresolved); return ok } //nolint:errorlint // never wrapped
	cfg.Retriable = func(err error) bool {
		u, ok := err.(unresolved) //nolint:errorlint // never wrapped
		return ok && u.operation != payment.Confirm && !u.result.KeySpent
	}
	guard, err := resilience.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("guard of the provider: %w", err)
	}
	return guarded{gateway: gateway, guard: guard}, nil
}

type guarded struct {
	gateway Gateway
	guard   *resilience.Guard
}

// unresolved makes an unknown outcome the guard's failure. A decline, an
// invalid request and "not yet" are answers.
type unresolved struct {
	operation payment.Operation
	result    payment.Result
}

func (u unresolved) Error() string { return u.operation.String() + ": outcome unknown" }

// Do implements Gateway. The result of the last attempt is kept: a spent key is
// news although the outcome is unknown.
func (g guarded) Do(ctx context.Context, call payment.Call) payment.Result {
	last := payment.Result{Outcome: payment.NotYet}
	result, err := resilience.Do(ctx, g.guard, func(ctx context.Context) (payment.Result, error) {
		last = g.gateway.Do(ctx, call)
		if last.Outcome == payment.Unknown {
			return last, unresolved{operation: call.Operation, result: last}
		}
		return last, nil
	})
	if err != nil {
		return last
	}
	return result
}
