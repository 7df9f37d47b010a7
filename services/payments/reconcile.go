package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel"
	"golang.org/x/sync/errgroup"

	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/poll"
	"example.com/ballast/pkg/service"
	"example.com/ballast/services/payments/internal/payment"
	"example.com/ballast/services/payments/internal/postgres"
	"example.com/ballast/services/payments/internal/reconcile"
)

// Tuned by judgement. The sum takes longer with every order, and a ledger that it
// is too long for must not go unseen: the objective counts minutes without a sum.
const (
	sumTimeout = 30 * time.Second
	sumRest    = 9 // a tenth of the time
	sumKept    = 10 * time.Minute
)

// compareBooks lets one process at a time compare the books and add up the ledger.
func compareBooks(host *service.Host, cfg Config, db *pg.Pools, store *postgres.Store, provider reconcile.Provider) (*reconcile.Reconciler, error) {
	aside, err := db.Aside("ledger", sumTimeout) // The pools' statements have no such time.
	if err != nil {
		return nil, err
	}
	host.OnClose("connection for the ledger's sum", aside.Close)
	measured := newBooks(otel.Meter("payments"))
	books := reconcile.New(reconcile.Config{
		Provider: provider, Book: store, Logger: host.Logger, Grace: cfg.ReconcileGrace, Found: measured.found,
	})
	term, err := measured.term(cfg.ReconcileEvery, books, sums(host.Logger, cfg.ReconcileEvery, aside))
	leader := host.Lease(db.Work.Pool, postgres.ReconcileLease)
	host.Go("reconciler", func(ctx context.Context) error { return leader.Run(ctx, term) })
	return books, err
}

// term is what who leads does, and shows meanwhile.
func (b *books) term(every time.Duration, r *reconcile.Reconciler, sums *poll.Question[payment.Sums]) (func(context.Context, int64) error, error) {
	return func(ctx context.Context, epoch int64) error {
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error { return r.Schedule(ctx, epoch, every) })
		g.Go(func() error { return sums.Run(ctx) })
		return g.Wait()
	}, b.show(r.Known, sums.Answer)
}

func sums(logger *slog.Logger, every time.Duration, aside *pg.Aside) *poll.Question[payment.Sums] {
	return &poll.Question[payment.Sums]{
		Name: "sum of the ledger", Logger: logger,
		Every: every, Timeout: sumTimeout, Rest: sumRest, Keep: max(sumKept, 3*every),
		Ask: func(ctx context.Context) (s payment.Sums, err error) {
			err = aside.Do(ctx, func(conn *pgx.Conn) error {
				s, err = postgres.SumUp(ctx, conn)
				return err
			})
			return s, err
		},
	}
}
