package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"example.com/ballast/pkg/resilience"
	"example.com/ballast/services/payments/internal/executor"
	"example.com/ballast/services/payments/internal/gateway"
	"example.com/ballast/services/payments/internal/payment"
	"example.com/ballast/services/payments/internal/reconcile"
)

// newGateway returns the provider as the executor calls it, and as it is.
func newGateway(cfg Config, logger *slog.Logger) (executor.Gateway, *gateway.Gateway, error) {
	gw, err := gateway.New(gateway.Config{
		URL: cfg.ProviderURL, APIKey: string(cfg.ProviderAPIKey), MaxIdleConns: cfg.ProviderConcurrency, Logger: logger,
	})
	if err != nil {
		return nil, nil, err
	}
	guarded, err := executor.Guarded(gw, resilience.Config{
		Name: "provider", Logger: logger, Timeout: cfg.ProviderTimeout, MaxRetries: retries,
		MaxConcurrent: uint(cfg.ProviderConcurrency), //nolint:gosec // validated to be positive
	})
	return guarded, gw, err
}

// book is the provider's book as reconciliation reads it. It goes around the
// guard: reading many pages must not trip the breaker of the charges.
type book struct{ gateway *gateway.Gateway }

func (b book) Intents(ctx context.Context, from, until time.Time) iter.Seq2[reconcile.Intent, error] {
	return func(yield func(reconcile.Intent, error) bool) {
		for i, err := range b.gateway.List(ctx, from, until) {
			if !yield(intent(i), away(err)) {
				return
			}
		}
	}
}

func (b book) Refunds(ctx context.Context, from, until time.Time) iter.Seq2[reconcile.Refund, error] {
	return func(yield func(reconcile.Refund, error) bool) {
		for r, err := range b.gateway.ListRefunds(ctx, from, until) {
			if r.Status == "failed" || r.Status == "canceled" {
				continue // gave nothing back
			}
			if !yield(reconcile.Refund{IntentID: r.IntentID, Amount: r.Amount}, away(err)) {
				return
			}
		}
	}
}

func (b book) Intent(ctx context.Context, id string) (reconcile.Intent, error) {
	i, err := b.gateway.Retrieve(ctx, id)
	if e, ok := errors.AsType[*gateway.Error](err); ok && e.Code == gateway.CodeMissing {
		return reconcile.Intent{}, reconcile.ErrMissing
	}
	return intent(i), away(err)
}

// away tells who called for the comparison that it is not to blame.
func away(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", payment.ErrBookAway, err)
}

func intent(i gateway.Intent) reconcile.Intent {
	return reconcile.Intent{ID: i.ID, OrderID: i.OrderID, Created: i.Created, Currency: i.Currency, Received: i.Received}
}
