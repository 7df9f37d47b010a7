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
)

// Config are the settings of inventory, read from the environment.
type Config struct {
	service.Settings

	// Postgres is the database of its own.
	Postgres pg.Settings

	// Kafka has the brokers, and how patient the consumer is.
	Kafka kafka.Settings

	// RedisURL is inventory's own cache.
	RedisURL config.Secret `env:"REDIS_URL,required,notEmpty"`
	// Shed says when calls are refused in an overload, Rate how many a customer
	// may make.
	Shed shed.Settings
	Rate ratelimit.Settings
	// JWTPublicKeyFile holds the Ed25519 keys that sign tokens, in PEM.
	JWTPublicKeyFile string `env:"JWT_PUBLIC_KEY_FILE,required,notEmpty"`

	// MaxBatch bounds the commands that are decided in one transaction.
	MaxBatch int `env:"MAX_BATCH" envDefault:"512"`
	// UnservedCountries are refused as destinations, ISO 3166-1 alpha-2.
	UnservedCountries []string `env:"UNSERVED_COUNTRIES" envDefault:"KP,SY,CU,IR"`
	// RepublishEvery is how often the whole catalogue is announced again.
	RepublishEvery time.Duration `env:"REPUBLISH_EVERY" envDefault:"10m"`
}

// Validate joins everything that is wrong.
func (c Config) Validate() error {
	errs := []error{c.Postgres.Validate(), c.Kafka.Validate()}
	require := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	require(c.MaxBatch >= 1 && c.MaxBatch <= 4096, "MAX_BATCH=%d: want 1 to 4096", c.MaxBatch)
	require(c.RepublishEvery >= time.Second, "REPUBLISH_EVERY=%s: want 1s or more", c.RepublishEvery)
	for _, country := range c.UnservedCountries {
		require(len(country) == 2, "UNSERVED_COUNTRIES: %q is no country: want codes of two letters, such as KP,SY", country)
	}
	return errors.Join(append(errs, c.Shed.Validate(), c.Rate.Validate())...)
}
