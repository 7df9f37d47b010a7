package main

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"example.com/ballast/services/orders/internal/order"
)

// sagas counts what happens to orders, from the events that are committed: once,
// however often a fact was told or decided about. What was committed by a process
// that died before it counted is missing.
type sagas struct {
	transitions, compensations metric.Int64Counter
	checkout, step             metric.Float64Histogram

	status  [order.NeedsOperator + 1]metric.MeasurementOption
	outcome map[order.Status]metric.MeasurementOption
	do      [order.Ship + 1]metric.MeasurementOption
	undo    [order.Ship + 1]metric.MeasurementOption
}

func newSagas(meter metric.Meter) (*sagas, error) {
	s := &sagas{outcome: map[order.Status]metric.MeasurementOption{
		order.Confirmed: with("outcome", "confirmed"), order.Cancelled: with("outcome", "cancelled"),
		order.NeedsOperator: with("outcome", "needs_operator"),
	}}
	for status := order.Placed; status <= order.NeedsOperator; status++ {
		s.status[status] = with("status", status.String())
	}
	for step := order.Reserve; step <= order.Ship; step++ {
		s.do[step], s.undo[step] = with("step", step.Name()), with("step", "undo_"+step.Name())
	}
	var errs [4]error
	s.transitions, errs[0] = meter.Int64Counter("orders.transitions", metric.WithUnit("{order}"),
		metric.WithDescription("Orders that came into a status."))
	s.compensations, errs[1] = meter.Int64Counter("orders.compensations", metric.WithUnit("{step}"),
		metric.WithDescription("Steps that were answered undone."))
	s.checkout, errs[2] = meter.Float64Histogram("orders.checkout.duration", metric.WithUnit("s"),
		metric.WithDescription("Time from placing an order to its end; one that an operator has resumed ends again."),
		metric.WithExplicitBucketBoundaries(.01, .025, .05, .1, .25, .5, 1, 2, 5, 10, 30, 60, 300, 1800))
	s.step, errs[3] = meter.Float64Histogram("orders.step.duration", metric.WithUnit("s"),
		metric.WithDescription("Time from the event that sent a step's command to the event that its answer made."),
		metric.WithExplicitBucketBoundaries(.005, .01, .025, .05, .1, .25, .5, 1, 2, 5, 10, 30, 60, 300))
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("saga metrics: %w", err)
	}
	return s, nil
}

func with(key, value string) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(attribute.String(key, value)))
}

// committed measures what was just committed.
func (s *sagas) committed(ctx context.Context, changes []order.Change) {
	for _, c := range changes {
		for m := range c.Moves() {
			s.moved(ctx, m)
		}
	}
}

func (s *sagas) moved(ctx context.Context, m order.Move) {
	if m.Entered() {
		s.transitions.Add(ctx, 1, s.status[m.After.Status])
	}
	if m.Ended() {
		s.checkout.Record(ctx, m.At.Sub(m.Before.CreatedAt).Seconds(), s.outcome[m.After.Status])
	}
	if undone, is := m.Event.(order.StepUndone); is {
		s.compensations.Add(ctx, 1, s.do[undone.Step])
	}
	switch step, undo := m.Answered(); {
	case step == order.NoStep:
	case undo:
		s.step.Record(ctx, m.At.Sub(m.Before.Since).Seconds(), s.undo[step])
	default:
		s.step.Record(ctx, m.At.Sub(m.Before.Since).Seconds(), s.do[step])
	}
}
