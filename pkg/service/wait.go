package service

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Bounds of waiting, chosen by judgement: a dependency that starts beside us is
// found within 2 s of its start, and one that stays away costs a line every 10 s.
const (
	firstWait   = 100 * time.Millisecond
	longestWait = 2 * time.Second
	remindEvery = 10 * time.Second
	// A dependency that takes a connection and says nothing must not end the wait
	// for it: it is named, and asked again.
	probeTimeout = 5 * time.Second
)

// permanent marks an error that waiting does not heal.
type permanent struct{ error }

func (p permanent) Unwrap() error   { return p.error }
func (p permanent) Permanent() bool { return true }

// Permanent marks an error of a probe that waiting does not heal, such as a
// wrong password: Wait returns it at once.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

// Wait tries until a dependency answers: the order in which processes start must
// not matter. While it waits, the log and /readyz say for what; what is best a
// name with an address, such as "postgres at db:5432". It returns an error when
// ctx ends or when the probe returns a Permanent one, or any with a method
// Permanent that says so. A probe has probeTimeout to find out.
func (h *Host) Wait(ctx context.Context, what string, probe func(context.Context) error) error {
	h.waits.begin(what)
	defer h.waits.done(what)
	var reminded time.Time
	began := time.Now()
	for pause := firstWait; ; pause = min(2*pause, longestWait) {
		err := within(ctx, probe)
		if err == nil {
			if !reminded.IsZero() {
				h.Logger.Info(what+" is there", "took", time.Since(began).Round(time.Millisecond).String()) //nolint:sloglint // A name from the code.
			}
			return nil
		}
		if p, ok := errors.AsType[interface {
			error
			Permanent() bool
		}](err); ok && p.Permanent() {
			return fmt.Errorf("%s: %w", what, err)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		}
		if time.Since(reminded) >= remindEvery {
			reminded = time.Now()
			h.Logger.Warn("waiting for "+what, "error", err) //nolint:sloglint // A name from the code.
		}
		select {
		case <-time.After(pause/2 + rand.N(pause/2)):
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		}
	}
}

func within(ctx context.Context, probe func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return probe(ctx)
}

// waits is what is being waited for now.
type waits struct {
	mu    sync.Mutex
	names []string
}

func (w *waits) begin(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(w.names, name) {
		w.names = append(w.names, name)
	}
}

func (w *waits) done(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.names = slices.DeleteFunc(w.names, func(n string) bool { return n == name })
}

func (w *waits) list() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.names)
}
