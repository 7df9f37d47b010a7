// Package load measures how many checkouts a running stack completes, how long
// they take and what they cost.
//
// First a closed loop: clients that each wait for the end of their order, more
// of them step by step, until the rate stops to rise. Then an open model:
// orders arrive at random at a fixed rate, whatever the answers, at the highest
// rate that the stack keeps up with. Latencies of the open model count from the
// moment that an order was meant to be sent, so a stall of the stack or of the
// generator shows in every order that it delayed.
//
// A checkout is completed when its order's OrderConfirmed is read from
// orders.events: the event is the last thing that a checkout does.
package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/ballast/cmd/ballast/internal/api"
	"example.com/ballast/cmd/ballast/internal/catalogue"
	"example.com/ballast/pkg/kafka"
)

// The products of a load run: its own, so that it takes nobody's stock, and
// enough of them that orders seldom meet at one.
const (
	skus = 500
	// MaxLines is the most lines of an order.
	MaxLines     = skus
	unitsPerSKU  = 1_000_000_000
	loadCurrency = "GBP"
)

func sku(i int) string { return fmt.Sprintf("LOAD-%04d", i+1) }

// Numbers of the search, by judgement.
const (
	warmUp        = 2 * time.Second
	shortestStep  = 2 * time.Second
	enoughGain    = 1.05 // a step that brings less than this is not worth another
	firstOpenRate = 0.95 // of the closed loop's best
	nextOpenRate  = 0.85 // of the rate that was too much
	queueShare    = 0.03 // of the orders sent may add to those under way
	openTries     = 6
)

// closedClients are the numbers of clients of the closed loop.
var closedClients = [...]int{8, 16, 32, 64, 128, 256, 512}

// Config says what to load and how.
type Config struct {
	Client *api.Client
	// Brokers of the stack as host:port, and who reads the events there.
	Brokers []string
	Login   kafka.Login
	// Postgres is an administrator's URL; empty leaves out what only the
	// database can tell.
	Postgres string
	// Processes of the stack, for their CPU and memory.
	Processes []Process
	// Duration of the measurement of each model.
	Duration time.Duration
	// Lines per order.
	Lines int
	// Rate skips the closed loop and the search: orders per second. Zero searches.
	Rate float64
	// Clients fixes the number of clients of the closed loop. Zero searches.
	Clients int
	// ClosedOnly leaves out the open model, for comparisons of throughput.
	ClosedOnly bool
	// Control measures the bare loop of three commits too.
	Control bool
	// Wait bounds the wait for the catalogue.
	Wait time.Duration
	// Say is told what is being done, one line at a time.
	Say func(line string)
}

// Run loads the stack. The orders that it placed have ended when it returns,
// or are counted in the report.
func Run(ctx context.Context, cfg *Config) (_ *Report, err error) {
	cat := &catalogue.Catalogue{Currency: loadCurrency, Receipt: "load", Wait: cfg.Wait}
	for i := range skus {
		cat.Items = append(cat.Items, catalogue.Item{SKU: sku(i), Description: "for load runs", Price: int64(100 + i), Units: unitsPerSKU})
	}
	cfg.Say("loading the catalogue")
	if err := catalogue.Load(ctx, cfg.Client, cat); err != nil {
		return nil, err
	}
	r := &runner{cfg: cfg, report: &Report{Lines: cfg.Lines}, watch: newWatcher()}
	if cfg.Postgres != "" {
		if r.pg, err = openStatistics(ctx, cfg.Postgres); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, r.pg.Close(context.WithoutCancel(ctx))) }()
	}
	if r.broker, err = openBroker(ctx, append(kafka.Options(cfg.Brokers, "ballast-load"), cfg.Login.Options()...)); err != nil {
		return nil, err
	}
	defer r.broker.client.Close()
	return r.run(ctx)
}

// runner is the state of one load run.
type runner struct {
	cfg    *Config
	report *Report
	watch  *watcher
	drive  *driver
	broker *broker
	pg     *pgx.Conn
	meter  *meter
}

func (r *runner) run(ctx context.Context) (*Report, error) {
	background, stop := context.WithCancel(ctx)
	defer stop()
	go r.broker.watch(background, r.watch)
	r.meter = newMeter(r.cfg.Processes, r.broker, r.pg)
	go r.meter.sample(background)
	r.drive = newDriver(r.cfg.Client, r.watch, r.cfg.Lines)
	if r.cfg.Control {
		if r.cfg.Postgres == "" {
			return nil, errors.New("--control needs the stack's Postgres: it is not in the home directory")
		}
		r.cfg.Say("control: a bare loop of three one-row commits")
		control, err := runControl(ctx, r.cfg.Postgres, max(shortestStep, r.cfg.Duration/10))
		if err != nil {
			return nil, err
		}
		r.report.Control = control
	}
	r.cfg.Say("warming up")
	r.drive.closed(ctx, newPhase(), closedClients[1], warmUp)
	rate := r.cfg.Rate
	if rate == 0 {
		best, err := r.findClosed(ctx)
		if err != nil {
			return nil, err
		}
		rate = best * firstOpenRate
	}
	if !r.cfg.ClosedOnly {
		if err := r.findOpen(ctx, rate); err != nil {
			return nil, err
		}
	}
	r.report.PeakRSS = r.meter.peaks()
	r.report.finish()
	return r.report, ctx.Err()
}

// findClosed raises the number of clients until it no longer helps, then
// measures the best number for the whole duration.
func (r *runner) findClosed(ctx context.Context) (float64, error) {
	clients, best := r.cfg.Clients, 0.0
	if clients == 0 {
		for _, n := range closedClients {
			m, err := r.closedLoop(ctx, n, max(shortestStep, r.cfg.Duration/10))
			if err != nil {
				return 0, err
			}
			r.cfg.Say(m.line())
			r.report.Steps = append(r.report.Steps, Step{Clients: n, PerSecond: m.PerSecond})
			if m.PerSecond < best*enoughGain {
				break
			}
			clients, best = n, m.PerSecond
		}
	}
	m, err := r.closedLoop(ctx, clients, r.cfg.Duration)
	if err != nil {
		return 0, err
	}
	r.cfg.Say(m.line())
	r.report.Closed = m
	return m.PerSecond, nil
}

func (r *runner) closedLoop(ctx context.Context, clients int, duration time.Duration) (*Measurement, error) {
	m, err := r.measured(ctx, func(p *phase) func() {
		r.drive.closed(ctx, p, clients, duration)
		return func() {}
	})
	if err != nil {
		return nil, err
	}
	m.Model, m.Clients = "closed loop", clients
	return m, nil
}

// findOpen lowers the rate until the stack keeps up, then measures it for the
// whole duration. A rate that was asked for is measured as it is.
func (r *runner) findOpen(ctx context.Context, rate float64) error {
	short := max(shortestStep, r.cfg.Duration/5)
	for range openTries {
		if r.cfg.Rate > 0 {
			break
		}
		m, err := r.openModel(ctx, rate, short)
		if err != nil {
			return err
		}
		r.cfg.Say(m.line())
		if m.KeptUp {
			break
		}
		rate *= nextOpenRate
	}
	m, err := r.openModel(ctx, rate, r.cfg.Duration)
	if err != nil {
		return err
	}
	r.cfg.Say(m.line())
	r.report.Open = m
	return nil
}

func (r *runner) openModel(ctx context.Context, rate float64, duration time.Duration) (*Measurement, error) {
	m, err := r.measured(ctx, func(p *phase) func() { return r.drive.open(ctx, p, rate, duration) })
	if err != nil {
		return nil, err
	}
	m.Model, m.Rate = "open model", rate
	return m, nil
}

// measured reads the counters around a stretch of load. Rates and costs are of
// the stretch itself; latencies are of all its orders, also those that end after it.
func (r *runner) measured(ctx context.Context, load func(*phase) (drain func())) (*Measurement, error) {
	r.watch.forget()
	p := newPhase()
	before, err := r.meter.read(ctx, p)
	if err != nil {
		return nil, err
	}
	drain := load(p)
	after, err := r.meter.read(ctx, p)
	if err != nil {
		return nil, err
	}
	started := time.Now()
	drain()
	drained := time.Since(started)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return newMeasurement(p, &before, &after, drained), nil
}
