package ratelimit

import (
	"context"
	"fmt"

	"example.com/ballast/pkg/flags"
)

// Settings are the environment variables of a service with rate limits, a field
// of its own settings. The flags <service>.rate-limit and .rate-burst stand
// above them and hold at once.
type Settings struct {
	// RateLimit is a customer's calls a second. By judgement: a person's page
	// makes a few calls, and twenty a second are a script.
	RateLimit float64 `env:"RATE_LIMIT" envDefault:"20"`
	// RateBurst is how many may come at once after a pause.
	RateBurst int `env:"RATE_BURST" envDefault:"100"`
}

// Validate tells what is wrong.
func (s Settings) Validate() error {
	if err := s.limit().Validate(); err != nil {
		return fmt.Errorf("RATE_LIMIT, RATE_BURST: %w", err)
	}
	return nil
}

func (s Settings) limit() Limit { return Limit{Rate: s.RateLimit, Burst: s.RateBurst} }

// Limit returns the limit that holds now, for Config.
func (s Settings) Limit(ctx context.Context, set *flags.Set, service string) func() Limit {
	return func() Limit {
		return Limit{
			Rate:  set.Number(ctx, service+".rate-limit", s.RateLimit, ""),
			Burst: int(set.Number(ctx, service+".rate-burst", float64(s.RateBurst), "")),
		}
	}
}
