package dependency

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2/client"

	"example.com/ballast/cmd/ballast/internal/drill"
)

// dependencies are the proxies of a stack, in the order of the report, without
// that of the Redis of payments, which keeps nothing in it.
var dependencies = []string{
	"postgres-orders", "postgres-inventory", "postgres-payments", "kafka",
	"redis-orders", "redis-inventory", "provider",
}

// fault is one way in which a dependency goes wrong. Whatever it does ends with
// heal, at the latest.
type fault struct {
	name  string
	begin func(ctx context.Context, p *play, dependency string) error
}

// faults are all of them.
var faults = []fault{
	{"slow", toxic("latency", "downstream", 1, toxiproxy.Attributes{"latency": 2000})},
	// Requests vanish, connections stay.
	{"black-hole", toxic("timeout", "upstream", 1, toxiproxy.Attributes{"timeout": 0})},
	{"refuses", func(_ context.Context, p *play, dependency string) error {
		proxy, err := p.toxics.Proxy(dependency)
		if err != nil {
			return err
		}
		return proxy.Disable()
	}},
	{"resets", toxic("reset_peer", "upstream", 1, toxiproxy.Attributes{"timeout": 0})},
	{"errors-50%", func(ctx context.Context, p *play, dependency string) error {
		if dependency == "provider" {
			return p.Admin(ctx, "provider", http.MethodPut, "/faults", map[string]any{"error_rate": 0.5}, nil)
		}
		return p.flap(ctx, dependency)
	}},
}

// flapEvery is how often lots are drawn. By judgement: clients have come back
// with new connections by then.
const flapEvery = 400 * time.Millisecond

// flap resets half of the connections again and again, for as long as a fault
// lasts: a toxic of that share draws lots once for each connection, and a pool
// would soon hold none but lucky ones.
func (p *play) flap(ctx context.Context, dependency string) error {
	proxy, err := p.toxics.Proxy(dependency)
	if err != nil {
		return err
	}
	for until := time.Now().Add(p.cfg.Lasts); time.Now().Before(until); {
		if _, err := proxy.AddToxic("half", "reset_peer", "upstream", .5, toxiproxy.Attributes{"timeout": 0}); err != nil {
			return err
		}
		if err := drill.Sleep(ctx, flapEvery); err != nil {
			return err
		}
		if err := proxy.RemoveToxic("half"); err != nil {
			return err
		}
	}
	return nil
}

// toxic is a fault of the network; toxicity is the share of connections.
func toxic(kind, stream string, toxicity float32, attributes toxiproxy.Attributes) func(context.Context, *play, string) error {
	return func(_ context.Context, p *play, dependency string) error {
		proxy, err := p.toxics.Proxy(dependency)
		if err != nil {
			return err
		}
		_, err = proxy.AddToxic(kind, kind, stream, toxicity, attributes)
		return err
	}
}

// heal takes every fault away.
func (p *play) heal(ctx context.Context) error {
	return errors.Join(p.toxics.ResetState(), p.Admin(ctx, "provider", http.MethodPut, "/faults", map[string]any{}, nil))
}

// cell is one fault of one dependency.
type cell struct {
	dependency string
	fault      fault
}

// choose returns the cells that are asked for.
func choose(cfg Config) ([]cell, error) {
	var known []string
	for _, f := range faults {
		known = append(known, f.name)
	}
	for _, name := range cfg.Faults {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("--faults %s: there are %s", name, strings.Join(known, ", "))
		}
	}
	var cells []cell
	for _, d := range dependencies {
		if len(cfg.Only) > 0 && !slices.ContainsFunc(cfg.Only, func(only string) bool { return strings.HasPrefix(d, only) }) {
			continue
		}
		for _, f := range faults {
			if len(cfg.Faults) == 0 || slices.Contains(cfg.Faults, f.name) {
				cells = append(cells, cell{d, f})
			}
		}
	}
	if len(cells) == 0 {
		return nil, fmt.Errorf("--only %s: there are %s", strings.Join(cfg.Only, ","), strings.Join(dependencies, ", "))
	}
	return cells, nil
}
