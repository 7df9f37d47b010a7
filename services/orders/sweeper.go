package main

import (
	"context"
	"log/slog"
	"time"

	"example.com/ballast/services/orders/internal/order"
)

// sweeper finds the orders that wait too long. It needs no leader: two of them
// skip each other's rows, and a version guards each write.
type sweeper struct {
	every  time.Duration
	batch  int
	grace  time.Duration // how old a command is when it should have been read
	sweep  func(ctx context.Context, count int, hold func(order.Step) bool) (int, error)
	unread func(ctx context.Context, step order.Step, before time.Time) (bool, error)
	logger *slog.Logger
}

func (s *sweeper) run(ctx context.Context) error {
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			// At most one batch a tick: this is the cap on re-sends.
			swept, err := s.sweep(ctx, s.batch, s.hold(ctx))
			switch {
			case err != nil && ctx.Err() == nil:
				s.logger.WarnContext(ctx, "sweep failed, will be tried again", "error", err)
			case swept > 0:
				s.logger.InfoContext(ctx, "swept orders that waited too long", "orders", swept)
			}
		}
	}
}

// hold asks once a sweep and step whether the participant may not have read
// what was sent. When it can't be known, nothing is sent again.
func (s *sweeper) hold(ctx context.Context) func(order.Step) bool {
	known := make(map[order.Step]bool)
	return func(step order.Step) bool {
		held, asked := known[step]
		if asked {
			return held
		}
		held, err := s.unread(ctx, step, time.Now().Add(-s.grace))
		if err != nil {
			s.logger.WarnContext(ctx, "no re-sends: the backlog is unknown", "error", err)
			held = true
		} else if held {
			s.logger.InfoContext(ctx, "no re-sends: the command or its answer may be unread", "step", step.String())
		}
		known[step] = held
		return held
	}
}
