package shed

import (
	"context"
	"time"
)

const (
	// lookEvery is how often pressure and settings are read.
	lookEvery = 100 * time.Millisecond
	// quiet is how long nothing may be refused before shedding has ended: calls
	// come back after RetryAfter, and are then refused or not.
	quiet = 5 * time.Second
)

// ease is the pressure below which nothing is shed. From there to 1 the
// priorities go one after another.
const ease = 0.5

// floors are, by priority, the levels below which pressure refuses.
type floors [Exempt]int

// Run keeps the pressure and the settings fresh until ctx ends.
func (s *Shedder) Run(ctx context.Context) error {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	w := watch{Shedder: s}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
			w.settings()
			w.pressure()
			w.tell(ctx, time.Now())
		}
	}
}

// watch is what Run remembers.
type watch struct {
	*Shedder

	began, latest time.Time
	counted       [Exempt]int64 // refused, when last looked
	before        [Exempt]int64 // refused, when the present shedding began
}

// settings takes over changed ones. Calls that are under way keep their place in
// the old gate; for their time there are two.
func (w *watch) settings() {
	w.disabled.Store(w.cfg.Enabled != nil && !w.cfg.Enabled())
	old, now := w.gate.Load().limits, w.cfg.Limits()
	if now == old {
		return
	}
	if err := now.Validate(); err != nil {
		return // the last good ones stay
	}
	w.gate.Store(newGate(now))
	w.cfg.Logger.Info("limits of calls at once changed", "min", now.Min, "max", now.Max, "max_wait", now.MaxWait.String())
}

func (w *watch) pressure() {
	var f floors
	for i, source := range w.cfg.Sources {
		p := min(max(source.Read(), 0), 1)
		w.metrics.pressure[i].Store(int64(p * 1e6))
		floor := int(max(p-ease, 0) / (1 - ease) * levels * float64(Exempt))
		for c := Low; c <= source.Most && c < Exempt; c++ {
			f[c] = max(f[c], floor)
		}
	}
	w.floors.Store(&f)
}

// tell logs the beginning and the end of shedding. A line per refusal would be
// the load that one wants to be rid of.
func (w *watch) tell(ctx context.Context, now time.Time) {
	var counted [Exempt]int64
	for p := range counted {
		counted[p] = w.shed[p].Load()
	}
	if counted != w.counted {
		w.latest = now
		if !w.shedding.Load() {
			w.began, w.before = now, w.counted
			w.shedding.Store(true)
			g := w.gate.Load()
			w.cfg.Logger.WarnContext(ctx, "shedding load", "limit", g.limiter.Limit(), "in_flight", g.limiter.Inflight(),
				"queued", g.queued(), "pressure", w.metrics.pressures())
		}
	} else if w.shedding.Load() && now.Sub(w.latest) >= quiet {
		w.shedding.Store(false)
		refused := map[string]int64{}
		for p := range counted {
			if n := counted[p] - w.before[p]; n > 0 {
				refused[Priority(p).String()] = n
			}
		}
		w.cfg.Logger.InfoContext(ctx, "no longer shedding load",
			"took", w.latest.Sub(w.began).Round(time.Millisecond).String(), "refused", refused)
	}
	w.counted = counted
}
