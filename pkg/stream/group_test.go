package stream_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/pkg/stream"
)

// TestMembersJoinAndLeave: partitions move while records flow and keys are
// parked; nothing is lost, and a record that comes twice comes as part of a
// repetition, never in front of an earlier one that was not yet handled.
func TestMembersJoinAndLeave(t *testing.T) {
	b := setup(t, 4)
	b.journal.fail = func(_ int, r stream.Record) error {
		if string(r.Value) == "5" && r.Attempt == 1 {
			return errFault
		}
		return nil
	}
	const keys = 8
	b.run(b.faultConfig())
	ctx, cancel := context.WithCancel(t.Context())
	values := 0
	var sender sync.WaitGroup
	sender.Go(func() {
		for ; ctx.Err() == nil; values++ {
			for k := range keys {
				b.send(int32(k%4), "k"+strconv.Itoa(k), strconv.Itoa(values))
			}
		}
	})
	for range 3 {
		cfg := b.faultConfig()
		var handled atomic.Int64
		cfg.Handler = func(ctx context.Context, batch []stream.Record) error {
			handled.Add(int64(len(batch)))
			return b.journal.handle(ctx, batch)
		}
		stop := b.run(cfg)
		b.eventually("the second member does its share", func() bool { return handled.Load() > 50 })
		stop()
	}
	cancel()
	sender.Wait()
	b.eventually("all are handled", func() bool { return b.lag() == 0 })
	for k := range keys {
		if d := cmp.Diff(numbers(values), firstTimes(b.journal.of("k"+strconv.Itoa(k)))); d != "" {
			t.Errorf("key %d: %s", k, d)
		}
	}
	if n := b.count(b.dlq()); n != 0 {
		t.Errorf("%d records in the DLQ", n)
	}
}

// firstTimes drops repetitions.
func firstTimes(values []string) []string {
	seen := make(map[string]bool)
	var first []string
	for _, v := range values {
		if !seen[v] {
			first = append(first, v)
		}
		seen[v] = true
	}
	return first
}

// TestStalledMemberGivesUpPartitions: a member whose database is away lets a
// healthy one take over, and does not do the other's work when it is back.
func TestStalledMemberGivesUpPartitions(t *testing.T) {
	b := setup(t, 2)
	b.send(0, "a", numbers(3)...)
	b.send(1, "b", numbers(3)...)
	sick := b.config()
	var down atomic.Bool
	var calls atomic.Int64
	down.Store(true)
	sick.Handler = func(ctx context.Context, batch []stream.Record) error {
		if down.Load() {
			calls.Add(1)
			return errDown
		}
		return b.journal.handle(ctx, batch)
	}
	b.run(sick)
	b.eventually("the sick member has all partitions", func() bool { return calls.Load() > 3 })
	b.run(b.config())
	b.eventually("the healthy member handles its share", func() bool { return b.journal.count() == 3 })
	down.Store(false)
	b.eventually("all is handled", func() bool { return b.lag() == 0 })
	if n := b.journal.count(); n != 6 {
		t.Errorf("%d records took effect, want 6: each once", n)
	}
}

// TestSlowHandlerStaysMember: a batch may take longer than the session timeout.
func TestSlowHandlerStaysMember(t *testing.T) {
	b := setup(t, 1)
	b.send(0, "a", numbers(3)...)
	cfg := b.config()
	cfg.Kafka.SessionTimeout = time.Second
	var calls atomic.Int64
	cfg.Handler = func(ctx context.Context, batch []stream.Record) error {
		if calls.Add(1) == 1 {
			select {
			case <-time.After(2 * time.Second):
			case <-ctx.Done():
			}
		}
		return b.journal.handle(ctx, batch)
	}
	b.run(cfg)
	b.run(b.config()) // Waits for its turn, which does not come with one partition.
	b.eventually("handled and committed", func() bool { return b.journal.count() >= 3 && b.lag() == 0 })
	if d := cmp.Diff(numbers(3), b.journal.of("a")); d != "" {
		t.Error(d)
	}
}

// TestStopFinishesTheBatch: the batch in hand is handled and committed.
func TestStopFinishesTheBatch(t *testing.T) {
	b := setup(t, 1)
	b.send(0, "a", numbers(3)...)
	cfg := b.config()
	entered, leave := make(chan struct{}), make(chan struct{})
	cfg.Handler = func(ctx context.Context, batch []stream.Record) error {
		close(entered)
		<-leave
		if err := ctx.Err(); err != nil {
			return err
		}
		return b.journal.handle(ctx, batch)
	}
	stop := b.run(cfg)
	<-entered
	go func() { time.Sleep(50 * time.Millisecond); close(leave) }()
	stop()
	if b.journal.count() != 3 || b.lag() != 0 {
		t.Errorf("%d handled, lag %d", b.journal.count(), b.lag())
	}
}

// TestStopDoesNotWaitForEver: a handler that does not end is cut off.
func TestStopDoesNotWaitForEver(t *testing.T) {
	b := setup(t, 1)
	b.send(0, "a", "0")
	cfg := b.config()
	cfg.DrainTimeout = 50 * time.Millisecond
	entered := make(chan struct{})
	cfg.Handler = func(ctx context.Context, _ []stream.Record) error {
		close(entered)
		<-ctx.Done()
		return ctx.Err()
	}
	stop := b.run(cfg)
	<-entered
	start := time.Now()
	stop()
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("stopped after %s", d)
	}
	b.run(b.config())
	b.eventually("the next member handles it", func() bool { return b.journal.count() == 1 })
}

// TestPause: the handler's own backpressure stops the taking of records.
func TestPause(t *testing.T) {
	b := setup(t, 1)
	var full atomic.Bool
	var asked atomic.Int64
	cfg := b.config()
	cfg.Pause = func() bool { asked.Add(1); return full.Load() }
	b.run(cfg)
	b.send(0, "a", "0")
	b.eventually("handled", func() bool { return b.journal.count() == 1 })
	full.Store(true)
	b.send(0, "a", "1") // May still be taken by the poll that waits.
	b.eventually("paused", func() bool { n := asked.Load(); time.Sleep(30 * time.Millisecond); return asked.Load() > n })
	before := b.journal.count()
	b.send(0, "a", "2")
	n := asked.Load()
	b.eventually("stays paused", func() bool { return asked.Load() > n+5 })
	if got := b.journal.count(); got != before {
		t.Errorf("%d records taken while paused", got-before)
	}
	full.Store(false)
	b.eventually("goes on", func() bool { return b.journal.count() == 3 })
}

// TestWaitsForItsTopic: start-up order does not matter.
func TestWaitsForItsTopic(t *testing.T) {
	b := setup(t, 1)
	b.topic += ".late"
	b.run(b.config())
	b.makeTopic(1)
	b.send(0, "a", "0")
	b.eventually("handled", func() bool { return b.journal.count() == 1 })
}
