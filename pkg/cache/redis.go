package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/redis/go-redis/extra/redisotel/v9"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.opentelemetry.io/otel"

	"example.com/ballast/pkg/poll"
	"example.com/ballast/pkg/resilience"
)

// Times of one command. A cache that answers slower than the database would is
// none.
const (
	dialTimeout = 250 * time.Millisecond
	ioTimeout   = 100 * time.Millisecond
)

// Redis is a service's own Redis with one guard in front of it: whatever caches
// share the server share what is known of its health.
type Redis struct {
	// Client speaks to it without the guard.
	Client *redis.Client

	guard *resilience.Guard
	info  *poll.Question[Info]

	mu     sync.Mutex
	caches map[string]*metrics
}

// Connect returns the Redis of a URL such as redis://host:6379/0. Like Open, it
// does not connect.
func Connect(address string, logger *slog.Logger) (*Redis, error) {
	client, err := Open(address)
	if err != nil {
		return nil, err
	}
	r := &Redis{Client: client, caches: map[string]*metrics{}}
	r.info = &poll.Question[Info]{
		Name: "what Redis says of itself", Ask: r.Info, Every: 5 * time.Second, Timeout: time.Second, Keep: 30 * time.Second, Logger: logger,
	}
	r.guard, err = resilience.New(resilience.Config{
		Name: "redis", Logger: logger, Timeout: dialTimeout, OpenFor: time.Second,
		// An answer that is an error, of a Redis that is full, says that it is there.
		Failure: func(err error) bool { _, answered := errors.AsType[redis.Error](err); return !answered },
	})
	if err == nil {
		err = r.observe()
	}
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return r, nil
}

// Close closes the connections.
func (r *Redis) Close() error { return r.Client.Close() }

// add makes a cache known to the admin listener.
func (r *Redis) add(name string, m *metrics) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.caches[name] = m
}

// Open returns a client for a URL such as redis://host:6379/0. It does not
// connect: Redis may be away, at the start as at any time. The client neither
// retries (the guard in front decides) nor outlives the context of a call. An
// error is one of the URL; it does not repeat the URL, which may hold a password.
func Open(address string) (*redis.Client, error) {
	opts, err := redis.ParseURL(address)
	if broken, ok := errors.AsType[*url.Error](err); ok {
		err = broken.Err
	}
	if err != nil {
		return nil, fmt.Errorf("redis url: %w (want redis://host:port/0)", err)
	}
	redis.SetLogger(silent{})
	opts.MaxRetries, opts.DialerRetries = -1, 1
	opts.ContextTimeoutEnabled = true
	opts.DialTimeout, opts.ReadTimeout, opts.WriteTimeout = dialTimeout, ioTimeout, ioTimeout
	opts.PoolSize, opts.PoolTimeout = 32, ioTimeout
	// Messages about maintenance exist in hosted Redis only; asking for them costs
	// an error at every connection elsewhere.
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	// Nor is the client's name told at each connection: a user has no right to.
	opts.DisableIdentity = true
	client := redis.NewClient(opts)
	if err := redisotel.InstrumentTracing(client, redisotel.WithTracerProvider(onlyWithin{otel.GetTracerProvider()}), redisotel.WithDBStatement(false), redisotel.WithCallerEnabled(false)); err != nil {
		return nil, fmt.Errorf("redis tracing: %w", err)
	}
	if err := redisotel.InstrumentMetrics(client, redisotel.WithSemConvCompliantMetrics(true)); err != nil {
		return nil, fmt.Errorf("redis metrics: %w", err)
	}
	return client, nil
}

// silent drops the library's own lines: they are no JSON, and with Redis away
// they come once a command. The guard logs the change and the metrics count.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}
