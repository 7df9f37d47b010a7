package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"example.com/ballast/pkg/poll"
	"example.com/ballast/services/orders/internal/order"
)

// alarm calls people: an order that needs one is logged once, when it begins to,
// and counted for as long as it does. The re-sends of undoings warn before.
type alarm struct {
	logger  *slog.Logger
	failing metric.Int64Counter
	counts  *poll.Question[map[order.Status]int64]
}

// scope names this service's metrics.
const scope = "example.com/ballast/services/orders"

// newAlarm also exports what unfinished counts, for as long as counts is run.
func newAlarm(meter metric.Meter, logger *slog.Logger, unfinished func(context.Context) (map[order.Status]int64, error)) (*alarm, error) {
	a := &alarm{logger: logger, failing: newCompensationResendsCounter(meter), counts: &poll.Question[map[order.Status]int64]{
		// By judgement: the index that it reads has few rows, and in a backlog many.
		Name: "unfinished orders", Ask: unfinished, Every: time.Second, Timeout: time.Second, Rest: 9, Keep: time.Minute, Logger: logger,
	}}
	open, stuck := newUnfinishedGauge(meter), newNeedsOperatorGauge(meter)
	_, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		counts, known := a.counts.Answer()
		if !known {
			return nil
		}
		for _, status := range []order.Status{order.Placed, order.Reserved, order.Charged, order.Cancelling} {
			o.ObserveInt64(open, counts[status], metric.WithAttributes(attribute.String("status", status.String())))
		}
		o.ObserveInt64(stuck, counts[order.NeedsOperator])
		return nil
	}, open, stuck)
	if err != nil {
		return nil, fmt.Errorf("alarm: metrics: %w", err)
	}
	return a, nil
}

// committed looks at orders that were just written. Nothing is written to an
// order that stays in NEEDS_OPERATOR but another contradiction, and nothing to
// one that has been re-sent but what ends its wait.
func (a *alarm) committed(ctx context.Context, changes []order.Change) {
	for _, c := range changes {
		switch s := c.After; {
		case s.Status == order.NeedsOperator:
			a.logger.ErrorContext(ctx, "an order needs an operator: see ballast order show",
				"order_id", s.ID.String(), "version", s.Version, "detail", s.Detail)
		case s.Status == order.Cancelling && s.Resends > 0:
			a.failing.Add(ctx, 1, metric.WithAttributes(attribute.String("step", s.Awaits().Name())))
			a.logger.WarnContext(ctx, "undoing is not answered, it was asked for again", "order_id", s.ID.String(),
				"step", s.Awaits().String(), "resends", s.Resends, "since", s.Since, "next_look", s.Deadline)
		}
	}
}
