// Package service runs a process from its first log line to its last: telemetry,
// two listeners, waiting for dependencies by name, background loops, and the
// order of the end.
//
// Two listeners, because they have different friends: the public one takes calls
// of customers; the admin one (metrics, profiles, health, settings) must never be
// reachable from outside.
//
// The end, at SIGTERM or at the first error of a loop:
//
//  1. not ready: /readyz answers 503, streams are told to reconnect elsewhere
//  2. wait DrainDelay, until balancers have noticed
//  3. stop accepting, let the calls that are under way finish
//  4. end the loops: they finish their batch, commit and leave their groups
//  5. close what OnClose was given, last opened first: flush, then pools
//  6. flush telemetry; the admin listener goes last, so that the end can be watched
//
// A second signal ends the process at once.
package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"example.com/ballast/pkg/config"
	"example.com/ballast/pkg/telemetry"
)

// Settings are the environment variables that every service has. Embed them in
// the service's own settings.
type Settings struct {
	// ListenAddr is where customers call.
	ListenAddr string `env:"LISTEN_ADDR" envDefault:":8080"`
	// AdminAddr is where operators, probes and Prometheus call.
	AdminAddr string `env:"ADMIN_ADDR" envDefault:":8100"`
	// LogLevel is debug, info, warn or error.
	LogLevel slog.Level `env:"LOG_LEVEL" envDefault:"info"`
	// DrainDelay is how long balancers need to notice that the process is not
	// ready. Kubernetes wants about 5s; without a balancer zero is right.
	DrainDelay time.Duration `env:"DRAIN_DELAY" envDefault:"0s"`
	// DrainTimeout bounds each of the steps after it: calls, loops, closing.
	DrainTimeout time.Duration `env:"DRAIN_TIMEOUT" envDefault:"15s"`
	// TracesFile takes spans as lines of OTLP JSON, beside or in place of what
	// OTEL_TRACES_EXPORTER names.
	TracesFile string `env:"TRACES_FILE"`
	// TrustTraceparent lets callers decide which traces are recorded: behind a
	// gateway that sets traceparent itself, and on a machine of one's own.
	TrustTraceparent bool `env:"TRUST_TRACEPARENT" envDefault:"false"`
	// FlagsFile holds the feature flags as JSON and is read again when it changes;
	// without it every flag has its default.
	FlagsFile string `env:"FLAGS_FILE"`
}

// Config says what runs.
type Config struct {
	// Name and Version appear in logs, spans and metrics.
	Name, Version string
	// Settings of the listeners and of the end.
	Settings Settings
	// Print is the service's whole settings struct. It is logged at the start and
	// served at /config, both without secrets.
	Print any
	// LogKeys are the service's own keys of log lines: telemetry.Config.Keys.
	LogKeys map[string]string
	// Telemetry overrides the output of logs, for tests.
	Telemetry telemetry.Config
}

// Run runs a service until ctx ends, a SIGTERM or SIGINT comes, or a loop fails.
// The setup connects, waits for its dependencies with Host.Wait, hands the public
// handler to Host.Serve and loops to Host.Go, and returns; from then on the
// service is ready. Run returns nil after an orderly end and the first error
// otherwise.
func Run(ctx context.Context, cfg Config, setup func(context.Context, *Host) error) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	// After the first signal the next one has its default effect.
	context.AfterFunc(ctx, stop)

	tc := cfg.Telemetry
	tc.Service, tc.Version, tc.Level, tc.Keys = cfg.Name, cfg.Version, cfg.Settings.LogLevel, cfg.LogKeys
	tc.TracesFile = cfg.Settings.TracesFile
	tel, err := telemetry.Start(ctx, tc)
	if err != nil {
		return fmt.Errorf("start telemetry: %w", err)
	}
	h, err := newHost(ctx, cfg, tel)
	if err != nil {
		tel.Logger.Error("the service could not start", "error", err)
		return errors.Join(err, tel.Shutdown(context.WithoutCancel(ctx)))
	}
	limitMemory(h.Logger)
	h.Logger.Info("starting", "version", cfg.Version, "config", config.Redacted(cfg.Print))

	err = h.run(ctx, setup)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = nil // the setup was told to stop, and did
	}
	if err != nil {
		h.Logger.Error("the service failed", "error", err)
	}
	closeErr := h.shutdown(context.WithoutCancel(ctx))
	h.Logger.Info("stopped")
	return errors.Join(err, closeErr)
}

// run sets up, then waits for the end or for the first loop that fails.
func (h *Host) run(ctx context.Context, setup func(context.Context, *Host) error) error {
	if err := h.protect("setup", func(ctx context.Context) error { return setup(ctx, h) })(ctx); err != nil {
		return err
	}
	h.started.Store(true)
	h.Logger.Info("ready", "listen", h.public.Addr().String(), "admin", h.admin.Addr().String())
	select {
	case <-ctx.Done():
		return nil
	case err := <-h.failed:
		return err
	}
}

// gcPercent trades memory for time: a service's live heap is about 15 MiB, so
// the collector's default of 100 runs it every few thousand requests and took
// 18 % of the CPU of orders under load. 400 took the three services beyond
// 400 MiB together.
const gcPercent = 200

// limitMemory sets gcPercent and tells the garbage collector of the container's
// limit, so that it works harder before the kernel kills. GOGC and GOMEMLIMIT
// win; without a limit there is none.
func limitMemory(logger *slog.Logger) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	_, err := memlimit.Set(memlimit.WithRatio(0.9), memlimit.WithProvider(memlimit.FromCgroup))
	if err != nil {
		logger.Debug("no memory limit found", "error", err)
	}
}

// listen names the setting in its error: "address already in use" alone leaves
// a person searching.
func listen(ctx context.Context, variable, addr string) (net.Listener, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s=%s: %w: choose another port or stop what uses it", variable, addr, err)
	}
	return ln, nil
}
