// Package dependency makes every dependency of every service slow, silent, gone
// and unreliable in turn, while customers go on, and writes down for each what
// they got, what the services did about it, and how long it took to be over.
//
// The faults are the network's: a proxy stands before each dependency. Only the
// half-broken provider answers errors of its own.
package dependency

import (
	"context"
	"errors"
	"fmt"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2/client"

	"example.com/ballast/cmd/ballast/internal/api"
	"example.com/ballast/cmd/ballast/internal/drill"
	"example.com/ballast/cmd/ballast/internal/reconcile"
)

// Config says how much of it.
type Config struct {
	// Only are the dependencies, by name or by what their names begin with; all
	// without one. Faults are those of the names that Faults returns.
	Only, Faults []string
	// Rate of calls a second, half of them orders.
	Rate float64
	// Lasts is how long each fault is there.
	Lasts time.Duration
	// Calm is the stretch before the first, from which "as usual" is learnt.
	Calm time.Duration
	// Deadline of a call. The customers of this drill don't repeat theirs.
	Deadline time.Duration
}

// between is how long things go on between two faults. By judgement.
const between = 2 * time.Second

// recoveryBound is how long after a fault an order may still take longer than
// usual. The longest known wait is a breaker's, 5 s, then a consumer's probe.
const recoveryBound = 30 * time.Second

// Run runs the drill.
func Run(ctx context.Context, o drill.Options, cfg Config) (*drill.Report, error) {
	cells, err := choose(cfg)
	if err != nil {
		return nil, err
	}
	o.Up = append(o.Up, "--proxied")
	s, err := drill.Start(ctx, o)
	if err != nil {
		return nil, err
	}
	p := &play{Stack: s, cfg: cfg}
	report, err := p.run(ctx, cells)
	return report, errors.Join(err, s.Close(ctx))
}

// play is one run.
type play struct {
	*drill.Stack

	cfg     Config
	shop    shop
	toxics  *toxiproxy.Client
	traffic *drill.Traffic
	// usual is how long an order may take to its end and count as usual.
	usual time.Duration
	// learnt is when that was found out.
	learnt [2]time.Time
}

func (p *play) run(ctx context.Context, cells []cell) (*drill.Report, error) {
	if err := p.Stock(ctx, 1_000_000, sku); err != nil {
		return nil, err
	}
	state, err := p.State()
	if err != nil {
		return nil, err
	}
	signer, err := p.Home.Signer()
	if err != nil {
		return nil, err
	}
	p.toxics = toxiproxy.NewClient(state.Endpoints.Toxiproxy)
	// A wait of nothing allows one attempt.
	p.shop.client = api.New(api.Config{
		Endpoints: state.Endpoints.API(), Mint: signer.Token, Attempt: p.cfg.Deadline, Wait: time.Nanosecond,
	})
	p.traffic = drill.Drive(ctx, p.cfg.Rate, p.shop.call)
	defer p.traffic.Stop()
	if err := p.learn(ctx); err != nil {
		return nil, err
	}
	var results []result
	for i, c := range cells {
		r, err := p.play(ctx, c)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", c.dependency, c.fault.name, err)
		}
		p.Say("%2d/%d %-18s %-10s orders %d of %d failed, recovered after %s", i+1, len(cells), c.dependency, c.fault.name,
			r.places.Failed(), len(r.places), drill.Millis(r.recovery))
		results = append(results, *r)
	}
	p.traffic.Stop()
	accepted := p.shop.placed()
	p.Say("comparing the books of %d accepted orders", len(accepted))
	books, err := p.Reconcile(ctx, accepted)
	if err != nil {
		return nil, err
	}
	ends, err := p.Ends(ctx)
	if err != nil {
		return nil, err
	}
	for i := range results {
		results[i].ends = ends.Took(results[i].began, results[i].healed)
	}
	return p.report(results, drill.Quantile(ends.Took(p.learnt[0], p.learnt[1]), .5), books), nil
}

// learn finds out how long an order takes when nothing is wrong.
func (p *play) learn(ctx context.Context) error {
	p.Say("learning what is usual")
	if err := drill.Sleep(ctx, time.Second); err != nil { // the first calls open connections
		return err
	}
	var slowest time.Duration
	p.learnt[0] = time.Now()
	for until := time.Now().Add(p.cfg.Calm); time.Now().Before(until); {
		took, err := p.shop.probe(ctx, recoveryBound)
		if err != nil {
			return fmt.Errorf("an order before any fault: %w", err)
		}
		slowest = max(slowest, took)
	}
	p.learnt[1] = time.Now()
	// On a busy machine the slowest of some tens says little: twice that, and no
	// less than a second.
	p.usual = max(2*slowest, time.Second)
	return nil
}

// result is what one fault did.
type result struct {
	cell

	began, healed time.Time
	places, reads drill.Calls
	ends          []time.Duration // of the orders placed meanwhile
	seen          *observation
	recovery      time.Duration // how long after the fault an order was as usual again
}

// play makes one fault, watches and heals it.
func (p *play) play(ctx context.Context, c cell) (*result, error) {
	before, err := p.scrape(ctx)
	if err != nil {
		return nil, err
	}
	seen := newObservation()
	watching, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		p.watch(watching, seen)
	}()
	began := time.Now()
	if err := c.fault.begin(ctx, p, c.dependency); err != nil {
		stop()
		return nil, err
	}
	err = drill.Sleep(ctx, time.Until(began.Add(p.cfg.Lasts)))
	healed := time.Now()
	if err = errors.Join(err, p.heal(ctx)); err != nil {
		stop()
		return nil, err
	}
	recovery, err := p.recovered(ctx, healed)
	if err == nil {
		err = p.settle(ctx, seen)
	}
	stop()
	<-watched
	if err != nil {
		return nil, err
	}
	after, err := p.scrape(ctx)
	if err != nil {
		return nil, err
	}
	seen.compare(c.dependency, before, after)
	return &result{
		cell: c, began: began, healed: healed, seen: seen, recovery: recovery,
		places: p.traffic.Between(began, healed, placing), reads: p.traffic.Between(began, healed, reading),
	}, nil
}

// recovered places one order after another until one is answered and confirmed
// as usual, and returns how long after the end of the fault that was.
func (p *play) recovered(ctx context.Context, healed time.Time) (time.Duration, error) {
	first := make(chan time.Duration, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(2 * recoveryBound)
	for {
		// Side by side: one that is caught in the backlog must not hide the next.
		go func() {
			if took, err := p.shop.probe(ctx, p.usual); err == nil && took <= p.usual {
				select {
				case first <- time.Since(healed):
				default:
				}
			}
		}()
		select {
		case took := <-first:
			return took, nil
		case <-deadline:
			return 2 * recoveryBound, nil // the report says that it is too long
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-tick.C:
		}
	}
}

// settle waits until breakers are closed and consumers go on, so that the next
// fault finds things as this one did; recovery has been measured already.
func (p *play) settle(ctx context.Context, seen *observation) error {
	for until := time.Now().Add(recoveryBound); time.Now().Before(until); {
		if err := drill.Sleep(ctx, between); err != nil {
			return err
		}
		if seen.calm() {
			return nil
		}
	}
	return nil
}

// books is what the reconciliation found.
type books = reconcile.Result
