package poison

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"example.com/ballast/cmd/ballast/internal/drill"
	"example.com/ballast/pkg/flags"
)

// The share of orders that each service's handler panics at, in percent: tens of
// orders in a calm stretch, copies of whose messages are the poison, and few
// enough of those that are placed while the handlers are broken.
const strikePercent = 5

// panicFlag makes the handlers of a service panic.
func panicFlag(service string) string { return service + ".fault-handler-panic" }

// predict opens the flags as they will be, which says whom they strike: the
// choice depends on the flag's name and the key alone.
func (p *play) predict(ctx context.Context) error {
	content, err := json.Marshal(rules())
	if err != nil {
		return err
	}
	path := filepath.Join(string(p.Home), "predicted.json")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return fmt.Errorf("predict: %w", err)
	}
	p.struck, err = flags.Open(ctx, path, slog.New(slog.DiscardHandler))
	return err
}

func rules() map[string]flags.Rule {
	percent := float64(strikePercent)
	m := map[string]flags.Rule{}
	for _, service := range services {
		m[panicFlag(service)] = flags.Rule{Value: true, Percent: &percent}
	}
	return m
}

// strikes tells whether a service panics at messages of a key.
func (p *play) strikes(ctx context.Context, service, key string) bool {
	return p.struck.Bool(ctx, panicFlag(service), false, key)
}

// struckAnywhere tells whether any service does: then the order is not a good one.
func (p *play) struckAnywhere(ctx context.Context, key string) bool {
	for _, service := range services {
		if p.strikes(ctx, service, key) {
			return true
		}
	}
	return false
}

// struckSKUs are three products at which orders panics.
func (p *play) struckSKUs(ctx context.Context) []string {
	var skus []string
	for n := 0; len(skus) < 3; n++ {
		if sku := fmt.Sprint("STRUCK-", n); p.strikes(ctx, "orders", sku) {
			skus = append(skus, sku)
		}
	}
	return skus
}

// goodSKU is the product that everybody orders.
func (p *play) goodSKU(ctx context.Context) string {
	for n := 0; p.shop.sku == ""; n++ {
		if sku := fmt.Sprint("GOOD-", n); !p.strikes(ctx, "orders", sku) {
			p.shop.sku = sku
		}
	}
	return p.shop.sku
}

// panics switches them on or off in every service, and waits until each has read
// its flags again.
func (p *play) panics(ctx context.Context, on bool) error {
	err := p.Home.EditFlags(func(set map[string]flags.Rule) {
		for name, rule := range rules() {
			if on {
				set[name] = rule
			} else {
				delete(set, name)
			}
		}
	})
	if err != nil {
		return err
	}
	return drill.Sleep(ctx, flagsSeenWithin)
}

// shop remembers the orders that were accepted.
type shop struct {
	sku string

	mu       sync.Mutex
	accepted []string
}

func (s *shop) accept(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted = append(s.accepted, id)
}

func (s *shop) placed() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.accepted...)
}
