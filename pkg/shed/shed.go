// Package shed decides at the edge of a service which calls it takes. Work that
// can't be finished in time is best refused before it has cost anything, and the
// least important first.
//
// How many calls may run at once is learnt: the limit sinks while calls take
// longer than they used to and rises while they don't. As many more may wait for
// a moment; the most important is next, and when the queue is full it sends the
// least important one away. Backlogs that no call waits for (the outbox, a
// consumer's lag) refuse the lowest priorities as well, as pressure.
//
// A refusal costs no decoding and no authentication: unavailable (HTTP 503),
// reason SHED, with Retry-After.
package shed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"

	"example.com/ballast/pkg/edge"
)

// Reason is the reason of a refusal, for programs.
const Reason = "SHED"

// RetryAfter is what a refused client is told. By judgement: long enough for the
// limit to have moved, short for a person.
const RetryAfter = time.Second

// maxExempt bounds exempt calls at once, by judgement: operators are few, and who
// calls is not known yet, so the name of their procedure must not open the door.
const maxExempt = 16

// Limits bound what is learnt.
type Limits struct {
	// Min and Max calls at once. Below Min nothing is refused however slow the
	// calls are, so a service that is merely slow still works.
	Min, Max int
	// MaxWait is how long a critical call may wait for a place; each priority below
	// may wait half as long as the one above.
	MaxWait time.Duration
}

// Validate tells what is wrong.
func (l Limits) Validate() error {
	if l.Min < 1 || l.Max < l.Min || l.MaxWait <= 0 {
		return fmt.Errorf("limits of calls at once from %d to %d, waiting %s: want 1 <= min <= max and a wait", l.Min, l.Max, l.MaxWait)
	}
	return nil
}

// Source is a backlog that no call waits for.
type Source struct {
	// Name in metrics and logs.
	Name string
	// Read returns 0 when idle and 1 at the cap. It is called ten times a second.
	Read func() float64
	// Most is the highest priority that this source can shed. A broker that is
	// away fills the outbox, and refusing orders would not bring it back.
	Most Priority
}

// Config of a Shedder.
type Config struct {
	// Logger takes one line when shedding starts and one when it ends. Required.
	Logger *slog.Logger
	// Priorities by procedure. Others are Normal when they change nothing, High
	// when they do.
	Priorities map[string]Priority
	// Limits now; asked ten times a second, so that they can be changed while the
	// service runs. Required.
	Limits func() Limits
	// Enabled is asked as often; nil means always.
	Enabled func() bool
	// Sources of pressure.
	Sources []Source
}

// Shedder admits calls. Share it: its limit is the process's. Run must run.
type Shedder struct {
	cfg     Config
	metrics *metrics
	refused error

	exempt   atomic.Int64 // calls under way
	disabled atomic.Bool
	gate     atomic.Pointer[gate]
	floors   atomic.Pointer[floors]
	shed     [Exempt]atomic.Int64 // calls refused so far
	shedding atomic.Bool
}

// New returns a Shedder, registered with the global meter.
func New(cfg Config) (*Shedder, error) {
	if cfg.Logger == nil || cfg.Limits == nil {
		return nil, errors.New("shed: Logger and Limits are required")
	}
	if err := cfg.Limits().Validate(); err != nil {
		return nil, fmt.Errorf("shed: %w", err)
	}
	s := &Shedder{
		cfg: cfg,
		// Made once: it is the same for all, and making it costs more than refusing.
		refused: edge.RetryLater(connect.CodeUnavailable, "too many calls at this moment", Reason, RetryAfter),
	}
	s.gate.Store(newGate(cfg.Limits()))
	s.floors.Store(&floors{})
	var err error
	s.metrics, err = newMetrics(s)
	return s, err
}

// Admit is an interceptor for edge.Config.Admit.
func (s *Shedder) Admit(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		var asked string
		if info, ok := connect.CallInfoForServerContext(ctx); ok {
			asked = info.RequestHeader().Get(Header)
		}
		p := s.of(spec, asked)
		if p == Exempt {
			defer s.exempt.Add(-1)
			if s.exempt.Add(1) > maxExempt {
				return s.refused
			}
			return next(ctx, spec, stream)
		}
		if s.disabled.Load() {
			return next(ctx, spec, stream)
		}
		if err := s.pressed(ctx, p); err != nil {
			return err
		}
		g := s.gate.Load()
		permit, err := g.enter(ctx, p)
		if errors.Is(err, errFull) {
			return s.refuse(ctx, p)
		}
		if err != nil {
			return err // the caller went away while waiting
		}
		s.metrics.admitted(ctx, p)
		if spec.StreamType != connect.StreamTypeUnary {
			// A stream is work when it opens. Then it lives for hours and mostly
			// sleeps: its permit would say that the service is busy.
			g.leave(permit, false)
			return next(ctx, spec, stream)
		}
		measured := false // stays so when the handler panics
		defer func() { g.leave(permit, measured) }()
		err = next(ctx, spec, stream)
		measured = tells(err)
		return err
	}
}

// tells says whether the time that a call took tells of the service's load. A
// refusal is quick whatever its reason, and a client that left says nothing.
func tells(err error) bool { return err == nil || errors.Is(err, context.DeadlineExceeded) }

// pressed refuses what pressure has no room for.
func (s *Shedder) pressed(ctx context.Context, p Priority) error {
	if p.level() < s.floors.Load()[p] {
		return s.refuse(ctx, p)
	}
	return nil
}

func (s *Shedder) refuse(ctx context.Context, p Priority) error {
	s.shed[p].Add(1)
	s.metrics.refused(ctx, p)
	return s.refused
}

// Shedding tells whether calls were refused lately: no time for optional work,
// such as hedging.
func (s *Shedder) Shedding() bool { return s.shedding.Load() }
