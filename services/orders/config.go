package main

import (
	"errors"
	"fmt"
	"time"

	"example.com/ballast/pkg/config"
	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/ratelimit"
	"example.com/ballast/pkg/service"
	"example.com/ballast/pkg/shed"
	"example.com/ballast/services/orders/internal/order"
)

// Config of orders, all from the environment.
type Config struct {
	service.Settings

	// Postgres is the database of its own.
	Postgres pg.Settings
	// Kafka has the brokers, and how patient the consumers are.
	Kafka kafka.Settings
	// JWTPublicKeyFile checks the bearer tokens: PEM, Ed25519.
	JWTPublicKeyFile string `env:"JWT_PUBLIC_KEY_FILE,required"`

	// RedisURL is this service's own Redis.
	RedisURL config.Secret `env:"REDIS_URL,required"`
	// Shed says when calls are refused in an overload, Rate how many a customer
	// may make.
	Shed shed.Settings
	Rate ratelimit.Settings

	// IntakeBatch caps the orders of one transaction, IntakeQueue those that
	// wait for one; beyond it PlaceOrder answers unavailable at once.
	IntakeBatch int `env:"INTAKE_BATCH" envDefault:"256"`
	IntakeQueue int `env:"INTAKE_QUEUE" envDefault:"2048"`

	// WatchLimit caps the streams of WatchOrder; a stream costs a connection
	// and 60 to 80 KB.
	WatchLimit int `env:"WATCH_LIMIT" envDefault:"1000"`

	// OutboxMaxRows and OutboxMaxAge cap what waits for Kafka; beyond them
	// PlaceOrder answers unavailable. A row holds the messages of one transaction,
	// so the default is a few million orders at the most, and 20 MB when they come
	// one by one.
	OutboxMaxRows int64         `env:"OUTBOX_MAX_ROWS" envDefault:"20000"`
	OutboxMaxAge  time.Duration `env:"OUTBOX_MAX_AGE" envDefault:"15m"`

	// ResendAfter is the wait before a command is sent again, doubled each time.
	ResendAfter time.Duration `env:"RESEND_AFTER" envDefault:"30s"`
	// MaxResends bounds the re-sends of one command.
	MaxResends int32 `env:"MAX_RESENDS" envDefault:"3"`
	// CompensateAfter is how long one step may take before the order is undone.
	CompensateAfter time.Duration `env:"COMPENSATE_AFTER" envDefault:"10m"`
	// SweepEvery is how often orders that wait too long are looked for.
	SweepEvery time.Duration `env:"SWEEP_EVERY" envDefault:"1s"`
	// SweepBatch caps the orders of one sweep, and so the re-sends a second.
	SweepBatch int `env:"SWEEP_BATCH" envDefault:"200"`
}

func (c Config) policy() order.Policy {
	return order.Policy{ResendAfter: c.ResendAfter, MaxResends: c.MaxResends, CompensateAfter: c.CompensateAfter}
}

// Validate refuses settings under which the service would not do its work.
func (c Config) Validate() error {
	errs := []error{c.Postgres.Validate(), c.Kafka.Validate()}
	positive := func(name string, v int64) {
		if v <= 0 {
			errs = append(errs, fmt.Errorf("%s must be more than zero", name))
		}
	}
	positive("OUTBOX_MAX_ROWS", c.OutboxMaxRows)
	positive("OUTBOX_MAX_AGE", int64(c.OutboxMaxAge))
	positive("INTAKE_BATCH", int64(c.IntakeBatch))
	positive("INTAKE_QUEUE", int64(c.IntakeQueue))
	positive("WATCH_LIMIT", int64(c.WatchLimit))
	positive("RESEND_AFTER", int64(c.ResendAfter))
	positive("SWEEP_EVERY", int64(c.SweepEvery))
	positive("SWEEP_BATCH", int64(c.SweepBatch))
	if c.MaxResends < 0 || c.MaxResends > 10 {
		errs = append(errs, errors.New("MAX_RESENDS must be from 0 to 10"))
	}
	if c.CompensateAfter <= c.ResendAfter {
		errs = append(errs, errors.New("COMPENSATE_AFTER must be longer than RESEND_AFTER"))
	}
	return errors.Join(append(errs, c.Shed.Validate(), c.Rate.Validate())...)
}
