// Package poison throws messages that can't be handled among those of a working
// shop, in every topic that a service consumes: bytes that are no message,
// unknown types, contents that make no sense, values that are too large, and
// copies of good messages at which a handler panics. What it shows: exactly
// those end in the dead-letter topics, the other orders hardly notice, and when
// the handler is mended the panics can be replayed, any number of times.
package poison

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/cmd/ballast/internal/drill"
	ordersv1 "example.com/ballast/gen/orders/v1"
	"example.com/ballast/pkg/flags"
	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/stream"
)

// Config says how much of it.
type Config struct {
	// Count of messages of each kind in each topic.
	Count int
	// Rate of orders a second.
	Rate float64
	// Phase is the length of each stretch; calm ones and poisoned ones alternate.
	Phase time.Duration
	// Rounds of a calm and a poisoned stretch.
	Rounds int
	// Ratio is how many times the p99 of a calm stretch that of a poisoned one may
	// be. With 0 nothing is judged that a busy machine decides: neither times nor how
	// often the provider was asked again.
	Ratio float64
	// Seed of the order in which the poison comes.
	Seed uint64
}

// Settings of the drill's services: a value of 16 KiB is too large, a faulty
// record has three attempts within a second, and nothing but a replay heals what
// a handler panicked at. A killed consumer is missed after 3 s. The cap on faulty
// records a minute, which would stop the consumers, is far away: what it does has a
// test of its own.
const maxRecordBytes = 16 << 10

var settings = []string{
	fmt.Sprint("MAX_RECORD_BYTES=", maxRecordBytes), "RETRY_DELAYS=250ms,500ms",
	"MAX_FAULTS_PER_MINUTE=1000000", "RESEND_AFTER=5m", "KAFKA_SESSION_TIMEOUT=3s",
}

// Run runs the drill.
func Run(ctx context.Context, o drill.Options, cfg Config) (*drill.Report, error) {
	o.Env = append(o.Env, settings...)
	s, err := drill.Start(ctx, o)
	if err != nil {
		return nil, err
	}
	p := &play{Stack: s, cfg: cfg, random: rand.New(rand.NewPCG(cfg.Seed, 0)), report: &drill.Report{ //nolint:gosec // A drill's choices are no secrets.
		Name: "Poison", Seed: cfg.Seed,
		About: fmt.Sprintf("%d messages of each of %d kinds in each of %d topics, among %.0f good orders a second.",
			cfg.Count, len(kinds), len(feeds), cfg.Rate),
	}}
	err = p.run(ctx)
	return p.report, errors.Join(err, s.Close(ctx))
}

type play struct {
	*drill.Stack

	cfg    Config
	random *rand.Rand
	report *drill.Report

	client    *kgo.Client
	struck    *flags.Set // tells whom the panics would strike, whether they are on or not
	shop      shop
	injected  map[string]*injected // by mark
	letters   *collector
	stretches []stretch
}

// stretch is a part of the drill.
type stretch struct {
	poisoned bool
	from, to time.Time
	work     work // done meanwhile
}

func (p *play) run(ctx context.Context) error {
	if err := p.prepare(ctx); err != nil {
		return err
	}
	defer p.client.Close()
	defer p.letters.close()
	traffic := drill.Drive(ctx, p.cfg.Rate, p.place)
	defer traffic.Stop()
	// The first orders open connections and fill caches.
	if err := drill.Sleep(ctx, 2*time.Second); err != nil {
		return err
	}
	for round := range p.cfg.Rounds {
		p.Say("round %d of %d: calm", round+1, p.cfg.Rounds)
		if err := p.stretch(ctx, false, func() error { return drill.Sleep(ctx, p.cfg.Phase) }); err != nil {
			return err
		}
		p.Say("round %d of %d: poison", round+1, p.cfg.Rounds)
		if err := p.poison(ctx); err != nil {
			return err
		}
	}
	traffic.Stop()
	if err := p.settle(ctx); err != nil {
		return err
	}
	return p.judge(ctx)
}

// prepare loads the catalogue and connects to the broker as any producer may.
func (p *play) prepare(ctx context.Context) error {
	if err := p.predict(ctx); err != nil {
		return err
	}
	state, err := p.State()
	if err != nil {
		return err
	}
	if p.client, err = kgo.NewClient(append(kafka.Options(state.Endpoints.Kafka, "poison"), stream.ReplayOptions()...)...); err != nil {
		return fmt.Errorf("connect to the broker: %w", err)
	}
	p.injected = map[string]*injected{}
	p.letters, err = collect(state.Endpoints.Kafka)
	if err != nil {
		return err
	}
	return p.Stock(ctx, 1_000_000, append(p.struckSKUs(ctx), p.goodSKU(ctx))...)
}

// stretch notes when a part of the drill was and what work it made.
func (p *play) stretch(ctx context.Context, poisoned bool, part func() error) error {
	before, err := p.work(ctx)
	if err != nil {
		return err
	}
	s := stretch{poisoned: poisoned, from: time.Now()}
	if err := part(); err != nil {
		return err
	}
	s.to = time.Now()
	after, err := p.work(ctx)
	if err != nil {
		return err
	}
	s.work = after.less(before)
	p.stretches = append(p.stretches, s)
	return nil
}

// poison switches the panics on, injects this round's share and waits until all
// of it has been given up, so that the next calm stretch is calm.
func (p *play) poison(ctx context.Context) error {
	batch, err := p.mix(ctx)
	if err != nil {
		return err
	}
	if err := p.panics(ctx, true); err != nil {
		return err
	}
	if err := p.stretch(ctx, true, func() error { return p.inject(ctx, batch) }); err != nil {
		return err
	}
	p.letters.await(ctx, giveUpWithin, func() bool { return p.missing() == 0 && len(p.stranded(ctx)) > 0 })
	return p.panics(ctx, false)
}

// giveUpWithin is how long the last copies of one order may take to their dead
// letters, each after those before it.
const giveUpWithin = time.Minute

// place places the n-th order.
func (p *play) place(ctx context.Context, n int) (string, error) {
	order, err := p.Place(ctx, fmt.Sprint("customer-", n%20), fmt.Sprint("order-", n), &ordersv1.PlaceOrderRequest{
		ShipTo: &ordersv1.Address{Country: "GB"}, Lines: []*ordersv1.LineRequest{{Sku: p.shop.sku, Quantity: 1}},
	})
	if err == nil {
		p.shop.accept(order.GetOrderId())
	}
	return "place order", err
}
