package main

import (
	"context"
	"fmt"

	"connectrpc.com/connect/v2"

	"example.com/ballast/gen/payments/v1/paymentsv1connect"
	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/faults"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/resilience"
	"example.com/ballast/pkg/service"
	"example.com/ballast/pkg/shed"
	"example.com/ballast/services/payments/internal/payment"
	"example.com/ballast/services/payments/internal/postgres"
	"example.com/ballast/services/payments/internal/rpc"
)

// priorities say what is refused first in an overload: lists. A reconciliation that an
// operator asks for is never refused.
func priorities() map[string]shed.Priority {
	return map[string]shed.Priority{
		paymentsv1connect.PaymentServiceReconcileProcedure:         shed.Exempt,
		paymentsv1connect.PaymentServiceGetPaymentProcedure:        shed.Normal,
		paymentsv1connect.PaymentServiceListPaymentsProcedure:      shed.Low,
		paymentsv1connect.PaymentServiceListLedgerEntriesProcedure: shed.Low,
	}
}

// operations are what operators call, on connections and behind a guard of their own.
// A reconciliation is work: it goes on with the work's connections.
func operations(guard *resilience.Guard, store *postgres.Store, run func(context.Context, payment.Mark) (payment.Reconciliation, error)) rpc.Payments {
	return rpc.Payments{
		Get: resilience.Wrap(guard, store.Get),
		List: func(ctx context.Context, after string, limit int) ([]payment.Payment, error) {
			return resilience.Do(ctx, guard, func(ctx context.Context) ([]payment.Payment, error) {
				return store.List(ctx, after, limit)
			})
		},
		Ledger: func(ctx context.Context, after int64, limit int) ([]payment.Posted, error) {
			return resilience.Do(ctx, guard, func(ctx context.Context) ([]payment.Posted, error) {
				return store.Ledger(ctx, after, limit)
			})
		},
		Reconcile: run,
	}
}

// serve opens the public listener's handler: for operators, see rpc, and for the
// provider's events. No backlog presses on operators: they are who looks into it.
func serve(ctx context.Context, host *service.Host, cfg Config, payments rpc.Payments, events func(*edge.Server)) error {
	verifier, err := edge.ReadVerifier(cfg.JWTPublicKeyFile)
	if err != nil {
		return fmt.Errorf("JWT_PUBLIC_KEY_FILE: %w", err)
	}
	shedding := cfg.Shed.Config(ctx, host.Flags, "payments", shed.Backlogs{})
	shedding.Logger, shedding.Priorities = host.Logger, priorities()
	shedder, err := shed.New(shedding)
	if err != nil {
		return err
	}
	host.Go("shedder", shedder.Run)
	server, err := edge.NewServer(edge.Config{
		Logger: host.Logger, Verifier: verifier, Healthy: host.Healthy, Draining: host.Draining(), Transient: pg.Transient,
		TrustTraces: cfg.TrustTraceparent,
		Admit:       []connect.ServerInterceptor{shedder.Admit, faults.RPC(host.Flags, "payments")},
	})
	if err != nil {
		return err
	}
	paymentsv1connect.RegisterPaymentServiceHandler(server.RPC, rpc.New(payments))
	events(server)
	handler, err := server.Handler()
	if err == nil {
		host.Serve(handler)
	}
	return err
}
