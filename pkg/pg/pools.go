package pg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/ballast/pkg/config"
	"example.com/ballast/pkg/resilience"
)

// Times of the two pools, by judgement. A person waits for the API; the others
// have batches, and all night. An attempt outlives its statement, so that it is
// the server that ends it.
const (
	apiStatement  = 3 * time.Second
	apiAttempt    = 3500 * time.Millisecond
	apiWait       = 500 * time.Millisecond // for a free connection
	workStatement = 5 * time.Second
	workAttempt   = 10 * time.Second
	workWait      = 2 * time.Second
)

// Settings are what every service with a database reads from its environment.
// They are a field of its own settings.
type Settings struct {
	// URL is the service's own database, by the role without DDL.
	URL config.Secret `env:"POSTGRES_URL,required,notEmpty"`
	// MigrationURL is the same by its owner; when it is set, the service migrates
	// at its start.
	MigrationURL config.Secret `env:"POSTGRES_MIGRATION_URL"`
	// APIConns bounds the connections for calls of people, WorkConns those for all
	// else; the outbox relay holds one besides, two when it has led, and the question
	// for the database's health one. Three services of two replicas, and one that is
	// being replaced, must fit the server's max_connections of 100.
	APIConns  int32 `env:"POSTGRES_API_CONNS" envDefault:"5"`
	WorkConns int32 `env:"POSTGRES_CONNS" envDefault:"6"`
}

// Validate joins everything that is wrong, by the name of the variable.
func (s Settings) Validate() error {
	var errs []error
	if s.APIConns < 1 {
		errs = append(errs, fmt.Errorf("POSTGRES_API_CONNS=%d: want 1 or more", s.APIConns))
	}
	if s.WorkConns < 4 {
		errs = append(errs, fmt.Errorf("POSTGRES_CONNS=%d: want 4 or more: two consumers, the relay and a sweep work at once", s.WorkConns))
	}
	return errors.Join(errs...)
}

// Pools are the two halves of a service: what people wait for, and what goes on
// by itself (consumers, relay, sweepers). They share the server and nothing else,
// so neither can hold the other's connections or open its breaker.
type Pools struct {
	API, Work DB

	config Config
	health func(context.Context) error // ends the questions for it
}

// DB is a pool and the guard that calls of it go through. As many calls as there
// are connections pass the guard at once; more wait a moment, then are refused.
type DB struct {
	Pool  *pgxpool.Pool
	Guard *resilience.Guard
}

// Wait tries until the probe succeeds, saying for what; service.Host.Wait is one.
type Wait func(ctx context.Context, what string, probe func(context.Context) error) error

// Connect waits for the database, applies the migrations when s names its owner,
// and opens both pools. Of c it takes App, KeyLookups and Logger.
func Connect(ctx context.Context, s Settings, c Config, migrations fs.FS, wait Wait) (*Pools, error) {
	c.URL = string(s.URL)
	cc, err := pgx.ParseConfig(c.URL)
	if err != nil {
		return nil, fmt.Errorf("POSTGRES_URL: %w (want postgres://user:password@host:5432/database)", err)
	}
	if err := wait(ctx, "postgres at "+address(cc), reach(cc)); err != nil {
		return nil, err
	}
	if s.MigrationURL != "" {
		if err := Migrate(ctx, string(s.MigrationURL), migrations, c.Logger); err != nil {
			return nil, err
		}
	}
	api, work := c, c
	api.App, api.MaxConns, api.StatementTimeout = c.App+"-api", s.APIConns, apiStatement
	work.App, work.MaxConns, work.StatementTimeout = c.App+"-work", s.WorkConns, workStatement
	p := &Pools{config: c.withDefaults()}
	if p.API, err = openGuarded(ctx, api, "postgres-api", apiAttempt, apiWait); err != nil {
		return nil, err
	}
	if p.Work, err = openGuarded(ctx, work, "postgres-work", workAttempt, workWait); err != nil {
		p.API.Pool.Close()
		return nil, err
	}
	if p.health, err = p.observe(ctx); err != nil {
		p.API.Pool.Close()
		p.Work.Pool.Close()
		return nil, fmt.Errorf("postgres metrics: %w", err)
	}
	return p, nil
}

// Close waits for the connections that are in use.
func (p *Pools) Close(ctx context.Context) error {
	err := p.health(ctx)
	p.API.Pool.Close()
	p.Work.Pool.Close()
	return err
}

func openGuarded(ctx context.Context, c Config, name string, attempt, maxWait time.Duration) (DB, error) {
	pool, err := Open(ctx, c)
	if err != nil {
		return DB{}, err
	}
	guard, err := NewGuard(name, c.Logger, pool.Config().MaxConns, attempt, maxWait)
	if err != nil {
		pool.Close()
	}
	return DB{pool, guard}, err
}

// NewGuard returns a guard for calls of a pool with that many connections.
func NewGuard(name string, logger *slog.Logger, conns int32, attempt, maxWait time.Duration) (*resilience.Guard, error) {
	return resilience.New(resilience.Config{
		Name: name, Logger: logger, Failure: Away,
		Timeout: attempt, MaxConcurrent: uint(max(1, conns)), MaxWait: maxWait, //nolint:gosec // at least 1
		// A server that is away fails every call; a consumer makes few. One that is
		// back is found by one probe, soon: people wait for it.
		Consecutive: 3, Window: 30 * time.Second, OpenFor: time.Second, Probes: 1,
		Patience: 500 * time.Millisecond,
	})
}

func address(cc *pgx.ConnConfig) string {
	return fmt.Sprintf("%s:%d/%s", cc.Host, cc.Port, cc.Database)
}

// reach connects once, in vain as long as the server is away.
func reach(cc *pgx.ConnConfig) func(context.Context) error {
	return func(ctx context.Context) error {
		conn, err := pgx.ConnectConfig(ctx, cc)
		if err != nil && refused(err) {
			return &refusal{fmt.Errorf("postgres refuses user %s: %w", cc.User, err)}
		}
		if err != nil {
			return err
		}
		return errors.Join(conn.Ping(ctx), conn.Close(ctx))
	}
}

// refusal is an error that waiting does not heal; service.Host.Wait asks for it.
type refusal struct{ error }

func (r *refusal) Unwrap() error   { return r.error }
func (r *refusal) Permanent() bool { return true }
