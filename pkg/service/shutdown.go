package service

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// shutdown takes the steps of the package comment. Each has a time of its own,
// so that one that hangs does not take the others' away.
func (h *Host) shutdown(ctx context.Context) error {
	h.Logger.Info("stopping", "drain_delay", h.cfg.Settings.DrainDelay.String())
	close(h.draining)
	// Connections that are kept alive would carry calls past every balancer: from
	// now on each answer closes its own.
	h.publicServer.SetKeepAlivesEnabled(false)
	if h.started.Load() {
		time.Sleep(h.cfg.Settings.DrainDelay)
	}
	var errs []error
	step := func(name string, fn func(context.Context) error) {
		ctx, cancel := context.WithTimeout(ctx, h.cfg.Settings.DrainTimeout)
		defer cancel()
		if err := fn(ctx); err != nil {
			h.Logger.Warn("a step of the shutdown failed", "step", name, "error", err)
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	step("drain calls", func(ctx context.Context) error {
		err := h.publicServer.Shutdown(ctx)
		if err != nil {
			err = errors.Join(err, h.publicServer.Close())
		}
		return err
	})
	step("end loops", h.endLoops)
	h.mu.Lock()
	closers := h.closers
	h.mu.Unlock()
	for i := len(closers) - 1; i >= 0; i-- {
		step("close "+closers[i].name, func(ctx context.Context) error {
			return finish(ctx, func() error { return closers[i].fn(ctx) })
		})
	}
	step("flush telemetry", h.Telemetry.Shutdown)
	step("admin listener", h.adminServer.Shutdown)
	return errors.Join(errs...)
}

func (h *Host) endLoops(ctx context.Context) error {
	h.endLoop()
	return finish(ctx, func() error { h.loops.Wait(); return nil })
}

// finish gives up what does not return in time, such as a pool one of whose
// connections nobody gives back: the process must end nevertheless.
func finish(ctx context.Context, fn func() error) error {
	done := make(chan error, 1)
	go func() { done <- fn() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("still running after DRAIN_TIMEOUT: %w", ctx.Err())
	}
}
