// Package tracingcost measures what tracing costs: the same closed loop of
// checkouts on stacks that differ in nothing but how many traces are recorded. The
// stacks are fresh each time and take turns, so that what the machine does besides
// falls on all of them.
package tracingcost

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"example.com/ballast/cmd/ballast/internal/drill"
	"example.com/ballast/cmd/ballast/internal/load"
)

// Config says how much of it.
type Config struct {
	// Rounds, in each of which every setting has its turn.
	Rounds int
	// Clients of the closed loop, and how long it is measured.
	Clients  int
	Duration time.Duration
	// Least is the share of the throughput without tracing that must be left with
	// the default sampler.
	Least float64
}

// setting is one way to trace.
type setting struct {
	name string
	env  []string
}

// settings are compared with the first. All stacks have a Prometheus and a collector
// beside them, which take their share of the machine.
func settings() []setting {
	return []setting{
		{"off", []string{"OTEL_TRACES_EXPORTER=none"}},
		// As without the variables: an observed stack alone records all.
		{"default, one in twenty", []string{"OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.05"}},
		{"all", []string{"OTEL_TRACES_SAMPLER=parentbased_always_on"}},
	}
}

// turn is what one setting showed in one round.
type turn struct {
	perSecond float64
	// micros of CPU time for an order, of all processes of the stack.
	micros float64
}

// Run runs the drill.
func Run(ctx context.Context, o drill.Options, cfg Config) (*drill.Report, error) {
	if cfg.Rounds < 1 || cfg.Clients < 1 || cfg.Duration < time.Second {
		return nil, errors.New("at least one round, one client and one second")
	}
	o.Up = append(slices.Clone(o.Up), "--observability")
	turns := make([][]turn, len(settings()))
	for round := range cfg.Rounds {
		for i, s := range settings() {
			t, err := play(ctx, o, cfg, s.env)
			if err != nil {
				return nil, fmt.Errorf("tracing %s: %w", s.name, err)
			}
			fmt.Fprintf(o.Out, "round %d of %d, tracing %s: %.0f checkouts/s, %.0f us of CPU time each\n", round+1, cfg.Rounds, s.name, t.perSecond, t.micros)
			turns[i] = append(turns[i], t)
		}
	}
	return report(cfg, turns), nil
}

// play measures one setting on a stack of its own.
func play(ctx context.Context, o drill.Options, cfg Config, env []string) (t turn, err error) {
	o.Env = append(slices.Clone(o.Env), env...)
	s, err := drill.Start(ctx, o)
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, s.Close(ctx)) }()
	state, err := s.State()
	if err != nil {
		return t, err
	}
	if state.Endpoints.Collector == "" {
		return t, errors.New("there is no collector: scripts/observability.sh otelcol builds it")
	}
	what := load.Config{
		Client: s.Client, Brokers: state.Endpoints.Kafka, Duration: cfg.Duration, Clients: cfg.Clients, ClosedOnly: true,
		Lines: 3, Wait: time.Minute, Say: func(string) {},
	}
	for _, child := range state.Children {
		if child.PID > 0 {
			what.Processes = append(what.Processes, load.Process{Name: child.Name, PID: child.PID})
		}
	}
	measured, err := load.Run(ctx, &what)
	if err != nil {
		return t, err
	}
	if !measured.OK() {
		return t, errors.New("orders did not come to their end")
	}
	return turn{measured.Closed.PerSecond, measured.Closed.Cost.CPUMicros}, nil
}

// report compares each turn with the one without tracing of its round.
func report(cfg Config, turns [][]turn) *drill.Report {
	r := &drill.Report{
		Name: "Cost of tracing",
		About: fmt.Sprintf("The same closed loop of %d clients for %s, with tracing off, by the default sampler and of everything, in turns; "+
			"spans go to the collector, which runs on the same machine.", cfg.Clients, cfg.Duration),
	}
	t := drill.Table{Title: "Settings", Head: []string{
		"tracing", "checkouts/s (median)", "of those without: median", "least", "most", "CPU us for an order (median)", "of that without",
	}}
	for i, s := range settings() {
		var rates, cpu, share, work []float64
		for round, own := range turns[i] {
			off := turns[0][round]
			rates, cpu = append(rates, own.perSecond), append(cpu, own.micros)
			share, work = append(share, own.perSecond/off.perSecond), append(work, own.micros/off.micros)
		}
		t.Rows = append(t.Rows, []string{
			s.name, fmt.Sprintf("%.0f", median(rates)), fmt.Sprintf("%.3f", median(share)),
			fmt.Sprintf("%.3f", slices.Min(share)), fmt.Sprintf("%.3f", slices.Max(share)),
			fmt.Sprintf("%.0f", median(cpu)), fmt.Sprintf("%.3f", median(work)),
		})
		if i == 1 {
			r.Check(median(share) >= cfg.Least, fmt.Sprintf("the default sampler leaves %.0f %% of the throughput", 100*cfg.Least),
				"%.1f %% (median of %d rounds)", 100*median(share), cfg.Rounds)
		}
	}
	r.Tables = append(r.Tables, t)
	return r
}

// median is the middle one, the lower of two.
func median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[(len(sorted)-1)/2]
}
