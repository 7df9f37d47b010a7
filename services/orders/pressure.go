package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"example.com/ballast/pkg/outbox"
	"example.com/ballast/pkg/shed"
)

// pressureEvery is how often the brokers are asked what waits.
const pressureEvery = 2 * time.Second

// pressure knows what was promised to customers and is not done.
type pressure struct {
	relay   *outbox.Relay
	ask     func(context.Context) (int64, error)
	logger  *slog.Logger
	waiting atomic.Int64
}

// backlogs are what shedding wants to know.
func (p *pressure) backlogs() shed.Backlogs {
	return shed.Backlogs{OutboxAge: func() time.Duration { return p.relay.Stats().Age }, Lag: p.waiting.Load}
}

// run asks until ctx ends. While no broker answers, the last answer stays.
func (p *pressure) run(ctx context.Context) error {
	tick := time.NewTicker(pressureEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		asked, cancel := context.WithTimeout(ctx, pressureEvery)
		n, err := p.ask(asked)
		cancel()
		if err != nil {
			p.logger.DebugContext(ctx, "not known what waits", "error", err)
			continue
		}
		p.waiting.Store(n)
	}
}
