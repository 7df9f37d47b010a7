package main

import (
	"errors"
	"fmt"
	"time"

	"example.com/ballast/pkg/config"
	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/service"
	"example.com/ballast/pkg/shed"
)

// Config of payments, all from the environment.
type Config struct {
	service.Settings

	// Postgres is the database of its own.
	Postgres pg.Settings
	// Kafka has the brokers, and how patient the consumer is.
	Kafka kafka.Settings
	// JWTPublicKeyFile checks the bearer tokens: PEM, Ed25519.
	JWTPublicKeyFile string `env:"JWT_PUBLIC_KEY_FILE,required"`
	// Shed says when calls are refused in an overload. There are no limits by
	// customer: all callers are operators.
	Shed shed.Settings

	// ProviderURL and ProviderAPIKey choose the payment provider: the simulator,
	// stripe-mock or Stripe.
	ProviderURL    string        `env:"PROVIDER_URL,required"`
	ProviderAPIKey config.Secret `env:"PROVIDER_API_KEY,required"`
	// ProviderTimeout ends one attempt of a call to the provider.
	ProviderTimeout time.Duration `env:"PROVIDER_TIMEOUT" envDefault:"3s"`
	// ProviderConcurrency is the number of calls in flight, at most.
	ProviderConcurrency int `env:"PROVIDER_CONCURRENCY" envDefault:"64"`

	// WebhookSecret is what the provider signs its events with. Without one there
	// is no endpoint for them, and the leases alone find what was left behind.
	WebhookSecret config.Secret `env:"WEBHOOK_SECRET"`
	// WebhookGrace is how long after an event its payment may stay in the hands of
	// whoever has it. It should hold for a call and its commit: shorter, and healthy
	// payments are looked at twice.
	WebhookGrace time.Duration `env:"WEBHOOK_GRACE" envDefault:"2s"`

	// MaxOpen is the number of open payments at which the consumer pauses. The
	// default is two seconds' worth at 2,000 orders/s: within a lease.
	MaxOpen int `env:"MAX_OPEN" envDefault:"4096"`
	// Lease is for how long an open payment belongs to one process; after a crash
	// another takes it over when it has passed.
	Lease time.Duration `env:"LEASE" envDefault:"30s"`
	// LeasePoll is how often expired leases are looked for.
	LeasePoll time.Duration `env:"LEASE_POLL" envDefault:"500ms"`

	// ReconcileEvery is how often the books are compared, ReconcileGrace how old
	// money must be to count: what is younger is still on its way.
	ReconcileEvery time.Duration `env:"RECONCILE_EVERY" envDefault:"1m"`
	ReconcileGrace time.Duration `env:"RECONCILE_GRACE" envDefault:"10s"`
}

// retries is how many retries of a call at once the guard may make; a share of
// all calls bounds them, too.
const retries = 2

// callTimeout bounds a call with its retries and the pauses between them.
func (c Config) callTimeout() time.Duration { return (retries+1)*c.ProviderTimeout + time.Second }

// Validate refuses settings under which the service would not do its work.
func (c Config) Validate() error {
	errs := []error{c.Postgres.Validate(), c.Kafka.Validate()}
	positive := func(name string, v int64) {
		if v <= 0 {
			errs = append(errs, fmt.Errorf("%s must be more than zero", name))
		}
	}
	positive("PROVIDER_TIMEOUT", int64(c.ProviderTimeout))
	positive("PROVIDER_CONCURRENCY", int64(c.ProviderConcurrency))
	positive("WEBHOOK_GRACE", int64(c.WebhookGrace))
	positive("MAX_OPEN", int64(c.MaxOpen))
	positive("LEASE_POLL", int64(c.LeasePoll))
	positive("RECONCILE_EVERY", int64(c.ReconcileEvery))
	positive("RECONCILE_GRACE", int64(c.ReconcileGrace))
	if minimum := 2 * c.callTimeout(); c.Lease < minimum {
		errs = append(errs, fmt.Errorf("LEASE is %s: use at least %s, two calls of PROVIDER_TIMEOUT with their retries", c.Lease, minimum))
	}
	return errors.Join(append(errs, c.Shed.Validate())...)
}
