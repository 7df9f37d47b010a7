package main

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"example.com/ballast/pkg/batch"
	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/inbox"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/resilience"
	"example.com/ballast/pkg/service"
	"example.com/ballast/services/payments/internal/payment"
	"example.com/ballast/services/payments/internal/postgres"
	"example.com/ballast/services/payments/internal/webhook"
)

// inboxWindow is how long an event's id is remembered. The provider repeats an
// event for longer, which only costs a look at the payment.
const inboxWindow = 24 * time.Hour

// maxNotices bounds a transaction; those that arrive while it commits are the
// next, and what finds no room to wait is sent again.
const maxNotices = 256

// traceNotice spans the taking of an event in the trace of the payment's command.
// The provider is somebody else's and does not know the trace: which one it is,
// only the stored payment tells.
func traceNotice(ctx context.Context, n payment.Notice, taken postgres.Taken, i int, began time.Time) {
	command := message.ParseTrace(taken.Traces[i])
	if !command.IsSampled() {
		return
	}
	_, span := otel.Tracer("example.com/ballast/services/payments").Start(
		trace.ContextWithRemoteSpanContext(ctx, command), "webhook", trace.WithTimestamp(began), trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("order.id", n.OrderID), attribute.String("payment.intent", n.IntentID),
			attribute.String("payment.event", n.ID), attribute.Stringer("payment.notice", taken.Noticed[i])))
	span.End()
}

// takeWebhooks mounts the endpoint, unless no secret is set: then the leases
// alone find what a dead process has left. While the guard is open the provider is
// told to come again.
func takeWebhooks(host *service.Host, cfg Config, pool *pgxpool.Pool, store *postgres.Store, guard *resilience.Guard) (mount func(*edge.Server)) {
	if cfg.WebhookSecret == "" {
		return func(*edge.Server) {}
	}
	seen := inbox.NewCounter()
	limits := batch.Config{Name: "webhooks", MaxBatch: maxNotices, MaxQueue: 4 * maxNotices, Workers: 1, Timeout: 4 * time.Second}
	batches := batch.New(limits, func(ctx context.Context, notices []payment.Notice) []batch.Result[payment.Noticed] {
		began := time.Now()
		results := make([]batch.Result[payment.Noticed], len(notices))
		taken, err := resilience.Do(ctx, guard, func(ctx context.Context) (postgres.Taken, error) {
			return store.Notice(ctx, notices, cfg.WebhookGrace)
		})
		seen.Add(ctx, taken.Claims) // Nothing, if it failed.
		for i := range results {
			if results[i].Err = err; err == nil {
				results[i].Value = taken.Noticed[i]
				traceNotice(ctx, notices[i], taken, i, began)
			}
		}
		return results
	})
	handler := webhook.New(webhook.Config{
		Secret: string(cfg.WebhookSecret), Notice: batches.Do, Logger: host.Logger, Meter: otel.Meter("payments"),
	})
	host.Go("webhooks", batches.Run)
	host.Go("inbox", func(ctx context.Context) error { return inbox.Maintain(ctx, pool, inboxWindow, host.Logger) })
	return func(server *edge.Server) { server.Handle("POST /webhooks/provider", handler) }
}
