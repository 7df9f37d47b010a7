// Package overload sends orders three times what it can do and shows what its
// customers get, with shedding and without. The generator runs on the same
// machine as everything else; what it uses of it is in the report.
package overload

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2/client"

	"example.com/ballast/cmd/ballast/internal/drill"
	"example.com/ballast/cmd/ballast/internal/load"
)

// Config says how much of it.
type Config struct {
	// Times the sustained rate is what is sent.
	Times float64
	// Lasts is the length of each storm.
	Lasts time.Duration
	// Mix of the calls.
	Mix []load.Share
}

// Numbers of the drill, by judgement.
const (
	warmUp      = 4 * time.Second
	measure     = 8 * time.Second
	clients     = 24 // of the closed loop: as many as help
	distance    = 15 // milliseconds to the database of orders and back
	products    = 50
	patience    = 2 * time.Second // of a customer
	recoverIn   = time.Minute
	probeClient = 4
	probe       = 500 * time.Millisecond
)

// Run runs the drill.
func Run(ctx context.Context, o drill.Options, cfg Config) (*drill.Report, error) {
	// The drill's few customers stand for many: what one may do is not what it is
	// about. Few connections to a database that is far away make the reads short,
	// and not the machine, which generator and services share: a generator that
	// takes the cores away would show itself. The limits are those of so small a
	// service.
	o.Up = append(o.Up, "--proxied")
	o.Env = append(o.Env, "RATE_LIMIT=100000", "RATE_BURST=100000", "POSTGRES_API_CONNS=4", "SHED_MIN=8", "SHED_MAX=64")
	s, err := drill.Start(ctx, o)
	if err != nil {
		return nil, err
	}
	p := &play{Stack: s, cfg: cfg}
	report, err := p.run(ctx)
	return report, errors.Join(err, s.Close(ctx))
}

// storm is what was seen of one overload.
type storm struct {
	name      string
	parts     []load.Part
	seconds   float64
	generator float64 // cores
	counted   map[string]float64
	recovered time.Duration
}

func (s *storm) goodput() float64 { return float64(load.Goodput(s.parts)) / s.seconds }

type play struct {
	*drill.Stack

	cfg       Config
	mix       *load.Mix
	sustained float64
	calm      []load.Part
	before    float64 // messages and rows that waited when nothing was sent
}

func (p *play) run(ctx context.Context) (*drill.Report, error) {
	p.mix = &load.Mix{Client: p.Client, Shares: p.cfg.Mix, Patience: patience}
	for i := range products {
		p.mix.SKUs = append(p.mix.SKUs, "STORM-"+strconv.Itoa(i+1))
	}
	if err := p.Stock(ctx, 1_000_000_000, p.mix.SKUs...); err != nil {
		return nil, err
	}
	state, err := p.State()
	if err != nil {
		return nil, err
	}
	proxy, err := toxiproxy.NewClient(state.Endpoints.Toxiproxy).Proxy("postgres-orders")
	if err == nil {
		_, err = proxy.AddToxic("far", "latency", "downstream", 1, toxiproxy.Attributes{"latency": distance})
	}
	if err != nil {
		return nil, fmt.Errorf("move the database away: %w", err)
	}
	if err := p.findSustained(ctx); err != nil {
		return nil, err
	}
	on, err := p.storm(ctx, "shedding on")
	if err != nil {
		return nil, err
	}
	if out, err := p.Run(ctx, "flag", "set", "orders.shedding", "false"); err != nil {
		return nil, fmt.Errorf("switch shedding off: %w\n%s", err, out)
	}
	if err := drill.Sleep(ctx, 3*time.Second); err != nil { // the file is looked at every second
		return nil, err
	}
	off, err := p.storm(ctx, "shedding off")
	if err != nil {
		return nil, err
	}
	p.Say("comparing the books of %d orders", len(p.mix.Accepted()))
	books, err := p.Reconcile(ctx, p.mix.Accepted())
	if err != nil {
		return nil, err
	}
	return p.report(on, off, books), nil
}

// findSustained measures what customers get who wait for their answers, backlog
// included: what was accepted faster than it could be done is no rate to keep.
func (p *play) findSustained(ctx context.Context) error {
	p.Say("warming up")
	p.mix.Closed(ctx, clients, warmUp)
	if _, err := p.settle(ctx, recoverIn); err != nil {
		return err
	}
	var err error
	if p.before, err = p.waiting(ctx); err != nil {
		return err
	}
	began := time.Now()
	p.calm = p.mix.Closed(ctx, clients, measure)
	took := time.Since(began)
	settled, err := p.settle(ctx, recoverIn)
	if err != nil {
		return err
	}
	p.sustained = float64(load.Goodput(p.calm)) / (took + settled - probe).Seconds()
	p.Say("sustained: %.0f calls/s, measured by %d clients", p.sustained, clients)
	return ctx.Err()
}

// storm sends too much for a while and waits until all is as it was.
func (p *play) storm(ctx context.Context, name string) (*storm, error) {
	rate := p.cfg.Times * p.sustained
	p.Say("%s: %.0f calls/s for %s", name, rate, p.cfg.Lasts)
	before, err := p.counters(ctx)
	if err != nil {
		return nil, err
	}
	used, began := cpuTime(), time.Now()
	s := &storm{name: name, seconds: p.cfg.Lasts.Seconds(), parts: p.mix.Open(ctx, rate, p.cfg.Lasts)}
	s.generator = (cpuTime() - used).Seconds() / time.Since(began).Seconds()
	if s.recovered, err = p.settle(ctx, 2*recoverIn); err != nil {
		return nil, err
	}
	after, err := p.counters(ctx)
	if err != nil {
		return nil, err
	}
	s.counted = map[string]float64{}
	for k, v := range after {
		s.counted[k] = v - before[k]
	}
	return s, ctx.Err()
}

// settle waits until the backlog is as small as before, no call is refused any
// more and answers are quick, and says how long that took.
func (p *play) settle(ctx context.Context, most time.Duration) (time.Duration, error) {
	began := time.Now()
	for time.Since(began) < most {
		left, err := p.waiting(ctx)
		if err != nil {
			return 0, err
		}
		if left <= p.before+float64(len(p.cfg.Mix)) {
			parts := p.mix.Closed(ctx, probeClient, probe)
			good, sent := load.Goodput(parts), 0
			for i := range parts {
				sent += parts[i].Sent
			}
			if good == sent && good > 0 {
				return time.Since(began), ctx.Err()
			}
		}
		if err := drill.Sleep(ctx, 250*time.Millisecond); err != nil {
			return 0, err
		}
	}
	return time.Since(began), ctx.Err()
}

// waiting is what was taken and is not done: unread messages and unpublished rows
// of all services.
func (p *play) waiting(ctx context.Context) (float64, error) {
	sum := 0.0
	for _, child := range []string{"orders", "inventory", "payments"} {
		m, err := p.Scrape(ctx, child)
		if err != nil {
			return 0, err
		}
		sum += m.Sum("stream_lag") + m.Sum("outbox_depth")
	}
	return sum, nil
}

// counters are what orders itself has counted.
func (p *play) counters(ctx context.Context) (map[string]float64, error) {
	m, err := p.Scrape(ctx, "orders")
	if err != nil {
		return nil, err
	}
	counts := map[string]float64{}
	for _, priority := range []string{"low", "normal", "high", "critical"} {
		counts[priority] = m.Sum("shed_calls_total", "priority="+priority, "outcome=shed")
	}
	return counts, nil
}
