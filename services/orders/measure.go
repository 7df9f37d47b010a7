package main

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"example.com/ballast/pkg/message"
	"example.com/ballast/services/orders/internal/order"
)

// sagas counts what happens to orders, from the events that are committed: once,
// however often a fact was told or decided about. What was committed by a process
// that died before it counted is missing.
type sagas struct {
	transitions, compensations, inTime metric.Int64Counter
	checkout, step                     metric.Float64Histogram

	status  [order.NeedsOperator + 1]metric.MeasurementOption
	outcome map[order.Status]metric.MeasurementOption
	do      [order.Ship + 1]metric.MeasurementOption
	undo    [order.Ship + 1]metric.MeasurementOption
}

// promised is how long a checkout may take: deploy/observability/slo/order-confirmed.yaml.
// The objective can't read the histogram: a process's first orders would be missing
// there, since a histogram can't begin with 0.
const promised = 2 * time.Second

// newSagas lets every counter begin with 0: of a series that begins with 1 nobody
// sees that it rose.
func newSagas(ctx context.Context, meter metric.Meter) *sagas {
	s := &sagas{
		transitions: newTransitionsCounter(meter), compensations: newCompensationsCounter(meter), inTime: newEndedInTimeCounter(meter),
		checkout: newCheckoutDurationHistogram(meter), step: newStepDurationHistogram(meter),
		outcome: map[order.Status]metric.MeasurementOption{
			order.Confirmed: with("outcome", "confirmed"), order.Cancelled: with("outcome", "cancelled"),
			order.NeedsOperator: with("outcome", "needs_operator"),
		},
	}
	s.inTime.Add(ctx, 0)
	for status := order.Placed; status <= order.NeedsOperator; status++ {
		s.status[status] = with("status", status.String())
		s.transitions.Add(ctx, 0, s.status[status])
	}
	for step := order.Reserve; step <= order.Ship; step++ {
		s.do[step], s.undo[step] = with("step", step.Name()), with("step", "undo_"+step.Name())
		s.compensations.Add(ctx, 0, s.do[step])
	}
	return s
}

func with(key, value string) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(attribute.String(key, value)))
}

// committed measures what was just committed.
func (s *sagas) committed(ctx context.Context, changes []order.Change) {
	for _, c := range changes {
		// A batch has many orders: an exemplar leads to the trace of its own.
		own := trace.ContextWithRemoteSpanContext(ctx, message.ParseTrace(c.Trace))
		for m := range c.Moves() {
			s.moved(own, m)
		}
	}
}

func (s *sagas) moved(ctx context.Context, m order.Move) {
	if m.Entered() {
		s.transitions.Add(ctx, 1, s.status[m.After.Status])
	}
	if m.Ended() {
		took := between(m.Before.CreatedAt, m.At)
		s.checkout.Record(ctx, took.Seconds(), s.outcome[m.After.Status])
		if took <= promised && m.After.Status != order.NeedsOperator {
			s.inTime.Add(ctx, 1)
		}
	}
	if undone, is := m.Event.(order.StepUndone); is {
		s.compensations.Add(ctx, 1, s.do[undone.Step])
	}
	switch step, undo := m.Answered(); {
	case step == order.NoStep:
	case undo:
		s.step.Record(ctx, between(m.Before.Since, m.At).Seconds(), s.undo[step])
	default:
		s.step.Record(ctx, between(m.Before.Since, m.At).Seconds(), s.do[step])
	}
}

// between two moments that two replicas may have read off their clocks: a clock that
// runs ahead must not make a sum fall, which looks like a restart.
func between(from, to time.Time) time.Duration { return max(0, to.Sub(from)) }
