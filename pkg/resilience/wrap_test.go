package resilience_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"example.com/ballast/pkg/resilience"
)

func TestConsecutiveFailuresOpenWhateverTheRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(c *resilience.Config) { c.MinRequests, c.Window, c.Consecutive = 1<<31, time.Minute, 3 })
		for _, fn := range []func(context.Context) error{fails, fails, works, fails, declines, fails, fails} {
			_ = b.call(t.Context(), fn)
			time.Sleep(3 * time.Second)
		}
		if !b.Healthy() {
			t.Fatal("open after two failures in a row")
		}
		_ = b.call(t.Context(), fails)
		if b.Healthy() {
			t.Error("closed after three failures in a row")
		}
	})
}

// A client that gives every call a millisecond says nothing about the dependency.
func TestAnImpatientCallerOpensNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(c *resilience.Config) { c.Patience = 500 * time.Millisecond })
		hang := func(patience time.Duration) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_ = b.call(ctx, hangs)
		}
		for range 20 {
			hang(time.Millisecond)
		}
		if b.State() != "closed" {
			t.Fatal("impatient callers opened the breaker")
		}
		for range 4 {
			hang(600 * time.Millisecond)
		}
		if b.State() != "open" {
			t.Error("a dependency that hangs did not open the breaker")
		}
	})
}

func TestRefusedSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		for range 4 {
			_ = b.call(t.Context(), fails)
		}
		read := resilience.Wrap(b.Guard, func(context.Context, int) (int, error) { return 1, nil })
		_, err := read(t.Context(), 7)
		refused, ok := errors.AsType[*resilience.Refused](err)
		if !ok || refused.After != 5*time.Second || refused.Dependency != "provider" || !errors.Is(err, resilience.ErrOpen) {
			t.Errorf("open: %v", err)
		}
		time.Sleep(6 * time.Second)
		if got, err := read(t.Context(), 7); got != 1 || err != nil {
			t.Errorf("afterwards: %d, %v", got, err)
		}
		if err := resilience.Run(t.Context(), b.Guard, works); err != nil {
			t.Errorf("run: %v", err)
		}
	})
}
