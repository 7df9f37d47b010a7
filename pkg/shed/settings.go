package shed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/ballast/pkg/flags"
)

// Settings are the environment variables of a service that sheds, a field of its
// own settings. The flags <service>.shedding, .shed-min and .shed-max stand
// above them and hold at once.
type Settings struct {
	// ShedMin and ShedMax bound the calls at once, see Limits.
	ShedMin int `env:"SHED_MIN" envDefault:"128"`
	ShedMax int `env:"SHED_MAX" envDefault:"1024"`
	// ShedMaxWait is how long a call may wait for a place.
	ShedMaxWait time.Duration `env:"SHED_MAX_WAIT" envDefault:"1s"`
	// ShedOutboxAge is the cap on how long a message may wait to be published:
	// from half of it on, low calls are shed.
	ShedOutboxAge time.Duration `env:"SHED_OUTBOX_AGE" envDefault:"20s"`
	// ShedLag is the cap on unread messages: from half of it on the lowest calls
	// are shed, and at it all are, because what is taken can't be done in time.
	ShedLag int64 `env:"SHED_LAG" envDefault:"50000"`
}

// Validate tells what is wrong.
func (s Settings) Validate() error {
	err := s.limits().Validate()
	if err != nil {
		err = fmt.Errorf("SHED_MIN, SHED_MAX, SHED_MAX_WAIT: %w", err)
	}
	if s.ShedOutboxAge <= 0 || s.ShedLag <= 0 {
		err = errors.Join(err, errors.New("SHED_OUTBOX_AGE and SHED_LAG must be more than zero"))
	}
	return err
}

func (s Settings) limits() Limits {
	return Limits{Min: s.ShedMin, Max: s.ShedMax, MaxWait: s.ShedMaxWait}
}

// Backlogs are where the pressure comes from; either may be nil.
type Backlogs struct {
	// OutboxAge is how long the oldest message has waited to be published.
	OutboxAge func() time.Duration
	// Lag is how many messages wait to be read.
	Lag func() int64
}

// Config puts together what New wants for a service, but for its priorities.
func (s Settings) Config(ctx context.Context, set *flags.Set, service string, b Backlogs) Config {
	number := func(name string, fallback float64) float64 { return set.Number(ctx, service+name, fallback, "") }
	c := Config{
		Enabled: func() bool { return set.Bool(ctx, service+".shedding", true, "") },
		Limits: func() Limits {
			l := s.limits()
			l.Min = int(number(".shed-min", float64(l.Min)))
			l.Max = max(l.Min, int(number(".shed-max", float64(l.Max))))
			return l
		},
	}
	if b.OutboxAge != nil {
		// Low calls only: a broker that is away lets the outbox grow for as long as
		// it is, and refusing orders or reads would not bring it back.
		c.Sources = append(c.Sources, Source{Name: "outbox_age", Most: Low, Read: func() float64 {
			return float64(b.OutboxAge()) / float64(s.ShedOutboxAge)
		}})
	}
	if b.Lag != nil {
		c.Sources = append(c.Sources, Source{Name: "lag", Most: Critical, Read: func() float64 {
			return float64(b.Lag()) / max(1, number(".shed-lag", float64(s.ShedLag)))
		}})
	}
	return c
}
