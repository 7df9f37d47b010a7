// Package alerts makes every alert fire on a running stack, by the fault that it
// is there for, and clear again by what its runbook says. Prometheus judges by the
// rules of production with every time shortened by the same factor. For each fault:
// the alerts that must fire do; the commands of their runbooks' Check show the
// cause; those of Act, and an end of the fault where it is somebody else's, make
// the alert go away; those of Verify agree. Before the first fault and after the
// last no alert fires, for as long as the load is all that happens.
package alerts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/common/model"

	"example.com/ballast/cmd/ballast/internal/drill"
	"example.com/ballast/cmd/ballast/internal/stack"
	"example.com/ballast/docs/runbooks"
)

// Config says what is played.
type Config struct {
	// Only names alerts; the faults of all others are left out.
	Only []string
	// Rate of calls a second: orders placed and read by turns.
	Rate float64
	// Faster is by what the alerts' windows and waits are divided.
	Faster float64
	// Calm is the length of the stretches without a fault; without them nothing waits
	// for what the faults did to budgets of other alerts.
	Calm time.Duration
}

const (
	// fireWithin and clearWithin bound the wait for one fault's alerts, at the
	// drill's speed. By judgement: several times what they take.
	fireWithin  = 90 * time.Second
	clearWithin = 2 * time.Minute
	// forgetWithin is for the six hours of a budget's longest short window, which at
	// the drill's speed are six minutes from the last fault that burned it.
	forgetWithin = 10 * time.Minute
)

// settings of the drill's services: their own periods are as short as the alerts'.
func settings() []string {
	return []string{"RECONCILE_EVERY=5s", "RECONCILE_GRACE=1s", "RETRY_DELAYS=250ms,500ms", "KAFKA_SESSION_TIMEOUT=3s"}
}

// Run runs the drill.
func Run(ctx context.Context, o drill.Options, cfg Config) (*drill.Report, error) {
	chosen, err := choose(cfg.Only)
	if err != nil {
		return nil, err
	}
	pages, err := runbooks.Load()
	if err != nil {
		return nil, err
	}
	o.Env = append(o.Env, settings()...)
	o.Up = append(o.Up, "--observability", fmt.Sprintf("--alert-scale=%g", 1/cfg.Faster))
	s, err := drill.Start(ctx, o)
	if err != nil {
		return nil, err
	}
	p := &play{Stack: s, cfg: cfg, pages: pages, shop: &shop{}, admin: map[string]*pgx.Conn{}}
	report, err := p.run(ctx, o.Self, chosen)
	return report, errors.Join(err, s.Close(ctx))
}

// play is one run.
type play struct {
	*drill.Stack

	cfg   Config
	pages map[string]runbooks.Page
	shop  *shop
	watch *watcher
	desk  *desk
	// twice is the order that the provider was made to charge twice.
	twice string
	// noted is what a person would have taken from a page's Check, as variables for its Act.
	noted model.LabelSet
	// admin has the superuser's sessions, by database.
	admin map[string]*pgx.Conn
}

// result is what one fault did.
type result struct {
	fault
	began  time.Time
	healed time.Time
	fired  map[string]episode // of its alerts
	along  []string           // others that fired meanwhile
	ran    int                // commands of runbooks
	// problems are what did not go as it must.
	problems []string
}

func (r *result) say(format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

func (p *play) run(ctx context.Context, self string, faults []fault) (*drill.Report, error) {
	state, err := p.State()
	if err != nil {
		return nil, err
	}
	if state.Endpoints.Prometheus == "" {
		return nil, errors.New("the stack has no Prometheus: `scripts/observability.sh prometheus` brings one")
	}
	if p.watch, err = newWatcher(state.Endpoints.Prometheus, string(p.Home)); err != nil {
		return nil, err
	}
	if p.desk, err = newDesk(self, string(p.Home)); err != nil {
		return nil, err
	}
	defer p.desk.close() //nolint:errcheck // a directory of /tmp that stays
	defer p.disconnect(ctx)
	if err := p.Stock(ctx, 1_000_000, sku); err != nil {
		return nil, err
	}
	if err := p.open(state); err != nil {
		return nil, err
	}
	traffic := drill.Drive(ctx, p.cfg.Rate, p.shop.call)
	defer traffic.Stop()
	if err := p.forgetTheStart(ctx, state.Endpoints.Prometheus); err != nil {
		return nil, err
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go p.watch.run(watching)

	calm := make([][]string, 2)
	if calm[0], err = p.calm(ctx, "before"); err != nil {
		return nil, err
	}
	var results []*result
	for i, f := range faults {
		r, err := p.play(ctx, state, f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.about, err)
		}
		p.Say("%2d/%d %s", i+1, len(faults), r.line())
		results = append(results, r)
	}
	if err := p.finish(ctx, results); err != nil {
		return nil, err
	}
	if calm[1], err = p.calm(ctx, "after"); err != nil {
		return nil, err
	}
	for _, r := range results {
		p.ends(r) // a budget that later faults have burned as well is late
	}
	traffic.Stop()
	return p.report(ctx, results, calm)
}

// calm lets the load go on for a while and returns what fired nevertheless. It
// begins once nothing does: the first calls of a new stack are slow.
func (p *play) calm(ctx context.Context, when string) ([]string, error) {
	if p.cfg.Calm == 0 {
		return nil, nil
	}
	p.Say("calm, %s the faults", when)
	if err := p.watch.await(ctx, forgetWithin, nothing); err != nil {
		return p.watch.names(), ignoreLate(err)
	}
	from := time.Now()
	if err := drill.Sleep(ctx, p.cfg.Calm); err != nil {
		return nil, err
	}
	var fired []string
	for _, e := range p.watch.since(from) {
		fired = append(fired, e.alert)
	}
	return fired, nil
}

func nothing(firing []string) bool { return len(firing) == 0 }

// none tells whether no alert of a list fires.
func none(firing, of []string) bool {
	return !slices.ContainsFunc(of, func(a string) bool { return slices.Contains(firing, a) })
}

func ignoreLate(err error) error {
	if errors.Is(err, errLate) {
		return nil
	}
	return err
}

// play makes one fault, waits for its alerts, works off their runbooks and waits
// until all is quiet. What goes wrong with the alert is a finding; only what keeps
// the drill from going on is an error.
func (p *play) play(ctx context.Context, state stack.State, f fault) (*result, error) {
	if f.needs != nil {
		if missing := f.needs(state); missing != "" {
			return &result{fault: f, problems: []string{"not played: " + missing}}, nil
		}
	}
	if err := p.watch.await(ctx, forgetWithin, func(firing []string) bool { return none(firing, f.alerts) }); err != nil {
		return nil, fmt.Errorf("an alert of it fires already: %w", err)
	}
	r := &result{fault: f, began: time.Now(), fired: map[string]episode{}}
	p.noted = nil
	end, err := f.inject(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("inject: %w", err)
	}
	err = p.watch.await(ctx, cmp.Or(f.within, fireWithin), func(firing []string) bool {
		return !slices.ContainsFunc(f.alerts, func(a string) bool { return !slices.Contains(firing, a) })
	})
	if ignoreLate(err) != nil {
		return nil, errors.Join(err, end(ctx))
	}
	p.collect(r)
	for _, a := range f.alerts {
		if _, ok := r.fired[a]; !ok {
			r.say("%s did not fire", a)
		}
	}
	pages := r.runbooks()
	for _, name := range pages {
		p.check(ctx, r, name)
	}
	for _, name := range pages {
		p.section(ctx, r, name, runbooks.Act)
	}
	if err := end(ctx); err != nil {
		return nil, fmt.Errorf("heal: %w", err)
	}
	r.healed = time.Now()
	if err := p.watch.await(ctx, clearWithin, noCause); ignoreLate(err) != nil {
		return nil, err
	}
	p.collect(r)
	for _, name := range pages {
		if !budget(name) {
			p.verify(ctx, r, name)
		}
	}
	return r, nil
}

// finish verifies what had to wait for the end: a budget's alert goes on for as long
// as its windows remember the fault, while the next faults are played.
func (p *play) finish(ctx context.Context, results []*result) error {
	p.Say("waiting until the alerts on these budgets are clear")
	var played []string
	for _, r := range results {
		played = append(played, r.alerts...)
	}
	if err := p.watch.await(ctx, forgetWithin, func(firing []string) bool { return none(firing, played) }); ignoreLate(err) != nil {
		return err
	}
	for _, r := range results {
		if len(r.fired) == 0 {
			continue // it is a finding already
		}
		p.ends(r)
		for _, name := range r.runbooks() {
			if budget(name) {
				p.verify(ctx, r, name)
			}
		}
	}
	return nil
}

// budget tells the page of an error budget from that of a cause.
func budget(page string) bool { return strings.HasSuffix(page, "Burns") }

// noCause is when no alert fires but those on budgets.
func noCause(firing []string) bool {
	return !slices.ContainsFunc(firing, func(a string) bool { return !budget(runbooks.For(a)) })
}
