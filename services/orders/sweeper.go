package main

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"example.com/ballast/services/orders/internal/order"
)

// sweeper finds the orders that wait too long. It needs no leader: two of them
// skip each other's rows, and a version guards each write.
type sweeper struct {
	every   time.Duration
	batch   int
	grace   time.Duration // how old a command is when it should have been read
	settle  time.Duration // how long a step must have been free of backlog
	overdue func(context.Context) ([]order.Step, error)
	sweep   func(ctx context.Context, count int, steps []order.Step) (int, error)
	unread  func(ctx context.Context, step order.Step, before time.Time) (bool, error)
	logger  *slog.Logger

	// held is when a step's backlog was last seen, or could not be. Right after
	// it, answers are still on their way: who gave up then would cancel what is
	// about to be done.
	held map[order.Step]time.Time
}

// backlogTimeout bounds the questions of one sweep to the broker.
const backlogTimeout = 2 * time.Second

func (s *sweeper) run(ctx context.Context) error {
	s.held = make(map[order.Step]time.Time)
	for step := order.Reserve; step <= order.Ship; step++ {
		s.held[step] = time.Now() // what happened before the start is not known
	}
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := s.once(ctx); err != nil && ctx.Err() == nil {
				s.logger.WarnContext(ctx, "sweep failed, will be tried again", "error", err)
			}
		}
	}
}

// once asks the broker first and opens its transaction after. It changes at most
// one batch: this is the cap on re-sends.
func (s *sweeper) once(ctx context.Context) error {
	overdue, err := s.overdue(ctx)
	if err != nil {
		return err
	}
	steps := slices.DeleteFunc(overdue, func(step order.Step) bool { return s.hold(ctx, step) })
	if len(steps) == 0 {
		return nil
	}
	swept, err := s.sweep(ctx, s.batch, steps)
	if swept > 0 {
		s.logger.InfoContext(ctx, "swept orders that waited too long", "count", swept)
	}
	return err
}

// hold says whether a step is left alone for now: its participant may not have
// read what was sent, or orders not what was answered. When that can't be
// known, nothing is sent again.
func (s *sweeper) hold(ctx context.Context, step order.Step) bool {
	ctx, cancel := context.WithTimeout(ctx, backlogTimeout)
	defer cancel()
	unread, err := s.unread(ctx, step, time.Now().Add(-s.grace))
	switch {
	case err != nil:
		s.logger.WarnContext(ctx, "no re-sends: the backlog is unknown", "step", step.String(), "error", err)
	case unread:
		s.logger.InfoContext(ctx, "no re-sends: the command or its answer may be unread", "step", step.String())
	default:
		return time.Since(s.held[step]) < s.settle
	}
	s.held[step] = time.Now()
	return true
}
