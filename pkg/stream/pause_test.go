package stream_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdk "go.opentelemetry.io/otel/sdk/metric"

	"example.com/ballast/pkg/resilience"
	"example.com/ballast/pkg/stream"
)

// paused returns the gauge for one reason, read from outside.
func paused(t *testing.T, cfg *stream.Config, reason string) func() bool {
	t.Helper()
	reader := sdk.NewManualReader()
	cfg.Meter = sdk.NewMeterProvider(sdk.WithReader(reader)).Meter("test")
	return func() bool { return collect(t, reader)[stream.MetricPaused+"/"+reason] == 1 }
}

// TestBreakerPauses: while the breaker of a dependency is open, the consumer
// waits without touching the dependency; it goes on when a probe has succeeded,
// and no record was blamed.
func TestBreakerPauses(t *testing.T) {
	b := setup(t, 1)
	cfg := b.config()
	cfg.InPlace = 1 << 20 // No number of tries is what pauses it.
	breaker := paused(t, &cfg, stream.PausedBreaker)
	guard, err := resilience.New(resilience.Config{
		Name: "database", Logger: cfg.Logger, MinRequests: 3, OpenFor: 300 * time.Millisecond, Probes: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	var down atomic.Bool
	var calls atomic.Int64
	down.Store(true)
	cfg.Handler = func(ctx context.Context, batch []stream.Record) error {
		_, err := resilience.Do(ctx, guard, func(ctx context.Context) (any, error) {
			if calls.Add(1); down.Load() {
				return nil, errDown
			}
			return nil, b.journal.handle(ctx, batch)
		})
		return err
	}
	b.send(0, "a", numbers(5)...)
	b.run(cfg)
	b.eventually("paused", breaker)
	if n := calls.Load(); n > 3 {
		t.Errorf("%d calls before the breaker paused it, want 3", n)
	}
	b.eventually("it probes", func() bool { return calls.Load() >= 5 })
	if guard.State() == "closed" || !breaker() {
		t.Error("a probe that failed has ended the pause")
	}
	down.Store(false)
	b.eventually("it goes on", func() bool { return b.journal.count() == 5 && b.lag() == 0 && !breaker() })
	if d := cmp.Diff(numbers(5), b.journal.of("a")); d != "" {
		t.Error(d)
	}
	if n := b.count(b.dlq()) + b.count(b.retry()); n != 0 {
		t.Errorf("%d records were set aside because a breaker was open", n)
	}
}

// TestBadDeployStops: a handler that rejects everything dead-letters no more
// than it is allowed, however long it runs, and says so; what is left is
// handled by the next deploy.
func TestBadDeployStops(t *testing.T) {
	b := setup(t, 1)
	b.journal.fail = func(i int, _ stream.Record) error { return stream.Reject(i, errors.New("bad deploy")) }
	b.send(0, "a", numbers(40)...)
	cfg := b.config()
	cfg.Kafka.MaxFaultsPerMinute = 30 // One more every two seconds, if it were a mere rate.
	faults := paused(t, &cfg, stream.PausedFaults)
	log := &lines{}
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	stop := b.run(cfg)
	b.eventually("paused", faults)
	since := time.Now()
	b.eventually("it probes for three seconds", func() bool { return time.Since(since) > 3*time.Second })
	if n := b.count(b.dlq()); n != 30 {
		t.Errorf("%d records in the DLQ, want 30", n)
	}
	if n := b.lag(); n != 40 {
		t.Errorf("lag %d, want 40: nothing of the batch may be committed", n)
	}
	for _, want := range []string{"consumer paused", "reason=faults", "check the last deploy"} {
		if !log.has(want) {
			t.Errorf("the log does not say %q", want)
		}
	}
	stop()
	b.journal.failWith(nil) // Rolled back.
	b.run(b.config())
	b.eventually("all are handled", func() bool { return b.journal.count() == 40 && b.lag() == 0 })
	if n := b.count(b.dlq()); n != 30 {
		t.Errorf("%d records in the DLQ after the roll-back, want still 30", n)
	}
}

// TestFixedInPlaceGoesOn: when the fault is taken back without a restart, such
// as a flag, a consumer that was stopped goes on by itself.
func TestFixedInPlaceGoesOn(t *testing.T) {
	b := setup(t, 1)
	b.journal.fail = func(i int, _ stream.Record) error { return stream.Reject(i, errors.New("bad flag")) }
	b.send(0, "a", numbers(20)...)
	cfg := b.config()
	cfg.Kafka.MaxFaultsPerMinute = 3
	faults := paused(t, &cfg, stream.PausedFaults)
	b.run(cfg)
	b.eventually("paused", faults)
	b.journal.failWith(nil)
	b.eventually("the others are handled", func() bool { return b.journal.count() == 17 && b.lag() == 0 && !faults() })
	if d := cmp.Diff(numbers(20)[3:], b.journal.of("a")); d != "" {
		t.Error(d)
	}
}

// TestBackpressurePauses: a handler that has enough to do gets nothing more,
// and that can be seen.
func TestBackpressurePauses(t *testing.T) {
	b := setup(t, 1)
	cfg := b.config()
	var full atomic.Bool
	full.Store(true)
	cfg.Pause = full.Load
	backpressure := paused(t, &cfg, stream.PausedBackpressure)
	b.send(0, "a", "0")
	b.run(cfg)
	b.eventually("paused", backpressure)
	if n := b.journal.callCount(); n != 0 {
		t.Errorf("the handler was called %d times", n)
	}
	full.Store(false)
	b.eventually("goes on", func() bool { return b.journal.count() == 1 && !backpressure() })
}
