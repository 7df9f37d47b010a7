package stream

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/time/rate"

	"example.com/ballast/pkg/resilience"
)

// Why a consumer takes nothing: the label of MetricPaused.
const (
	PausedTransient    = "transient"    // a batch has failed Config.InPlace times for no record's fault
	PausedBreaker      = "breaker"      // a dependency's breaker is open: the batch is its probe
	PausedFaults       = "faults"       // too many faulty records: a bad deploy
	PausedBackpressure = "backpressure" // Config.Pause says so
)

// What holds up the consumer: records that are set aside at a rate that speaks
// for a bad deploy rather than for bad records, or unfit ones at a rate at which
// no person can look at them.
var (
	errFlood = errors.New("too many faulty records a minute: check the last deploy")
	errUnfit = errors.New("too many malformed or oversize records a minute: check who writes them")
)

func (l *letter) flood() error {
	if l.byNature() {
		return errUnfit
	}
	return errFlood
}

// byNature tells whether the record is bad by itself, whatever the handler is.
func (l *letter) byNature() bool {
	return l.reason == ReasonMalformed || l.reason == ReasonOversize
}

// allowance bounds the faulty records. Within the burst of its limiter there is
// always more. When that is spent, more comes by the minute, but only while the
// handler succeeds now and then: one that never does is a bad deploy, and what
// trickled into the DLQ would be good records. What is unfit says nothing of the
// handler: it has a limiter of its own, at the same rate, and is never stopped.
type allowance struct {
	limiter, unfit *rate.Limiter
	spent          bool
	success        time.Time // of the handler, the last one
}

func newAllowance(perMinute int) allowance {
	limiter := func() *rate.Limiter { return rate.NewLimiter(rate.Limit(perMinute)/60, perMinute) }
	return allowance{limiter: limiter(), unfit: limiter()}
}

// allows takes the place of a dead letter in the allowance.
func (a *allowance) allows(l *letter, now time.Time) bool {
	switch {
	case l.byNature():
		return a.unfit.AllowN(now, 1)
	case l.record.unfit != nil: // Its rejection is final: the handler is sound.
		return a.limiter.AllowN(now, 1)
	}
	return a.take(now)
}

func (a *allowance) take(now time.Time) bool {
	if a.spent && now.Sub(a.success) > time.Minute {
		return false
	}
	ok := a.limiter.AllowN(now, 1)
	a.spent = a.spent || !ok
	return ok
}

func (a *allowance) succeeded(now time.Time) { a.success, a.spent = now, false }

// hindered says why the batch waits: once when it starts to, once when it lasts.
// An open breaker and a flood of faults are worth no further look.
func (c *Consumer) hindered(ctx context.Context) {
	c.tries++
	switch {
	case errors.Is(c.hindrance, resilience.ErrOpen):
		c.pause(ctx, PausedBreaker)
	case errors.Is(c.hindrance, errFlood), errors.Is(c.hindrance, errUnfit):
		c.pause(ctx, PausedFaults)
	case c.paused == "" && c.tries >= c.cfg.InPlace:
		c.pause(ctx, PausedTransient)
	case c.tries == 1:
		c.log.Warn("batch failed: trying again", "count", len(c.pending), "error", c.hindrance)
	}
}

// pause shows that nothing is taken, and why, until resume is called.
func (c *Consumer) pause(ctx context.Context, reason string) {
	if c.paused == reason {
		return
	}
	c.metrics.setPaused(ctx, c.paused, reason)
	c.paused = reason
	if reason == PausedBackpressure { // It may come and go many times a second.
		c.pressure.Do(func() { c.log.Info("consumer paused: the handler has enough to do") })
		return
	}
	level := slog.LevelWarn // It goes on by itself when what it needs is back.
	if reason == PausedFaults {
		level = slog.LevelError // It does not: a deploy is bad.
	}
	c.log.Log(ctx, level, "consumer paused: nothing is taken until the batch succeeds",
		"reason", reason, "count", len(c.pending), "error", c.hindrance)
}

func (c *Consumer) resume(ctx context.Context) {
	if c.paused == "" {
		return
	}
	c.metrics.setPaused(ctx, c.paused, "")
	if c.paused != PausedBackpressure {
		c.log.Info("consumer goes on", "reason", c.paused)
	}
	c.paused = ""
}
