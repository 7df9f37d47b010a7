package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"example.com/ballast/services/orders/internal/order"
)

// TestSweeperHolds lets all three steps be overdue for ever and moves their
// backlogs. A step is swept only when it has been free of backlog for a while.
func TestSweeperHolds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := []order.Step{order.Reserve, order.Charge, order.Ship}
		backlog := map[order.Step]error{}
		unread := errors.New("unread")
		var swept []order.Step
		s := &sweeper{
			every: time.Second, batch: 10, grace: 15 * time.Second, settle: 30 * time.Second, logger: slog.New(slog.DiscardHandler),
			overdue: func(context.Context) ([]order.Step, error) { return slices.Clone(all), nil },
			sweep: func(_ context.Context, _ int, steps []order.Step) (int, error) {
				swept = steps
				return len(steps), nil
			},
			unread: func(_ context.Context, step order.Step, before time.Time) (bool, error) {
				if got := time.Since(before); got != 15*time.Second {
					t.Errorf("asked for commands %v old", got)
				}
				if err := backlog[step]; !errors.Is(err, unread) {
					return false, err
				}
				return true, nil
			},
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.run(ctx) }()
		after := func(wait time.Duration, want ...order.Step) {
			t.Helper()
			swept = nil
			time.Sleep(wait)
			synctest.Wait()
			if !slices.Equal(swept, want) {
				t.Errorf("after %v more: swept %v, want %v", wait, swept, want)
			}
		}
		after(29 * time.Second) // what happened before the start is not known
		after(2*time.Second, all...)
		backlog[order.Charge], backlog[order.Ship] = unread, errors.New("broker away")
		after(10*time.Second, order.Reserve)
		clear(backlog)
		after(29*time.Second, order.Reserve) // the answers are still on their way
		after(2*time.Second, all...)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
