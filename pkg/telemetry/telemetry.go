// Package telemetry starts logs, traces and metrics of a process.
//
//   - Logs are JSON on one writer, with the trace, span and labels of their
//     context; see keys.go for what may stand in them, and what the levels mean.
//   - Metrics are always served in the Prometheus format, see Telemetry.Metrics.
//   - Traces, and a copy of metrics and logs, are exported as the environment
//     says (OTEL_TRACES_EXPORTER, OTEL_METRICS_EXPORTER, OTEL_LOGS_EXPORTER,
//     OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER). With nothing set nothing
//     is exported: a process never waits for a collector that nobody asked for.
//     Config.TracesFile takes traces where there is no collector.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// Config says who is telling.
type Config struct {
	// Service and Version name the process in every span, metric and log line.
	Service, Version string
	// Level is the least level that is logged; nil means info.
	Level slog.Leveler
	// TracesFile takes spans as lines of OTLP JSON, with or without an exporter;
	// "" means none. At most 128 MiB are kept, in it and in its predecessor.
	TracesFile string
	// Keys are the log's keys of this service, beside those that telemetry knows,
	// each with what its values are. Values of any other key are redacted.
	Keys map[string]string
	// Output takes the log lines; nil means standard error.
	Output io.Writer
}

// Telemetry is what Start made. Its providers are also the process's global
// ones, because libraries look there.
type Telemetry struct {
	// Logger writes JSON lines.
	Logger *slog.Logger
	// Registry takes collectors that speak Prometheus and not OpenTelemetry.
	Registry *prometheus.Registry
	// Metrics serves everything that is measured, for the admin listener.
	Metrics http.Handler

	stops []func(context.Context) error
}

// scrapes bounds those under way, by judgement: two Prometheus and somebody who
// looks. A collector that hangs must not gather those that come after it.
const scrapes = 4

// Start sets up logs, traces and metrics. An error names the part that could
// not start; it comes from the OTEL_ variables. Call Shutdown at the end, or the
// last spans are lost.
func Start(ctx context.Context, cfg Config) (*Telemetry, error) {
	res, err := describe(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("telemetry resource: %w", err)
	}
	t := &Telemetry{Registry: prometheus.NewRegistry()}
	if err := t.startLogs(ctx, cfg, res); err != nil {
		return nil, errors.Join(variable("OTEL_LOGS_EXPORTER", err), t.Shutdown(ctx))
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		t.Logger.Warn("telemetry is not delivered", "error", err)
	}))
	if err := t.startTraces(ctx, cfg.TracesFile, res); err != nil {
		return nil, errors.Join(err, t.Shutdown(ctx))
	}
	if err := t.startMetrics(ctx, cfg, res); err != nil {
		return nil, errors.Join(variable("OTEL_METRICS_EXPORTER", err), t.Shutdown(ctx))
	}
	t.Metrics = promhttp.HandlerFor(t.Registry, promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: scrapes})
	return t, nil
}

// Shutdown flushes what is waiting and stops the exporters, traces first. The
// logger goes on writing to its output.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	var errs []error
	for i := len(t.stops) - 1; i >= 0; i-- {
		errs = append(errs, t.stops[i](ctx))
	}
	t.stops = nil
	return errors.Join(errs...)
}

// describe puts the environment last, so that OTEL_RESOURCE_ATTRIBUTES and
// OTEL_SERVICE_NAME of a deployment win.
func describe(ctx context.Context, cfg Config) (*resource.Resource, error) {
	return resource.New(ctx,
		resource.WithTelemetrySDK(), resource.WithHost(), resource.WithProcessPID(),
		resource.WithAttributes(semconv.ServiceName(cfg.Service), semconv.ServiceVersion(cfg.Version)),
		resource.WithFromEnv(),
	)
}

func (t *Telemetry) startLogs(ctx context.Context, cfg Config, res *resource.Resource) error {
	level := cfg.Level
	if level == nil {
		level = slog.LevelInfo
	}
	out := cfg.Output
	if out == nil {
		out = os.Stderr
	}
	var handler slog.Handler = withTrace{slog.NewJSONHandler(out, &slog.HandlerOptions{Level: level})}
	if exported("OTEL_LOGS_EXPORTER") {
		exporter, err := autoexport.NewLogExporter(ctx)
		if err != nil {
			return err
		}
		provider := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter)), sdklog.WithResource(res))
		t.stops = append(t.stops, provider.Shutdown)
		handler = slog.NewMultiHandler(handler, atLeast{level, otelslog.NewHandler(cfg.Service, otelslog.WithLoggerProvider(provider))})
	}
	redactions := newRedactionsCounter(otel.Meter(ours + "pkg/telemetry"))
	t.Logger = slog.New(discreet{handler, allowed(cfg.Keys), redactions}).With("service", cfg.Service)
	return nil
}

func (t *Telemetry) startMetrics(ctx context.Context, cfg Config, res *resource.Resource) error {
	reader, err := prometheusReader(t.Registry)
	if err != nil {
		return err
	}
	opts := []sdkmetric.Option{
		sdkmetric.WithReader(reader), sdkmetric.WithResource(res), sdkmetric.WithView(libraryView),
		// A label that grows without bound must cost a series called "overflow",
		// not the process.
		sdkmetric.WithCardinalityLimit(2000),
	}
	// "prometheus" would open a second listener for what Metrics serves.
	if exported("OTEL_METRICS_EXPORTER") && os.Getenv("OTEL_METRICS_EXPORTER") != "prometheus" {
		second, err := autoexport.NewMetricReader(ctx)
		if err != nil {
			return err
		}
		opts = append(opts, sdkmetric.WithReader(second))
	}
	provider := sdkmetric.NewMeterProvider(opts...)
	t.stops = append(t.stops, provider.Shutdown)
	otel.SetMeterProvider(provider)
	showBuild(provider, cfg.Version)
	return startRuntime(provider)
}

// exported tells whether an exporter was asked for. An endpoint alone asks for
// all three signals, as the OpenTelemetry specification has it.
func exported(variable string) bool {
	switch v := os.Getenv(variable); v {
	case "none":
		return false
	case "":
		return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != ""
	default:
		return true
	}
}

// variable says which setting an error comes from.
func variable(name string, err error) error {
	return fmt.Errorf("%s=%s: %w", name, os.Getenv(name), err)
}
