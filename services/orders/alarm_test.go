package main

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/testkit"
	"example.com/ballast/services/orders/internal/order"
)

// TestTheAlarmTellsWhatPeopleMustKnow, and nothing else: an order on its way is no
// news.
func TestTheAlarmTellsWhatPeopleMustKnow(t *testing.T) {
	t.Parallel()
	var lines bytes.Buffer
	a, err := newAlarm(testkit.NewMetrics().Meter("test"), slog.New(slog.NewTextHandler(&lines, nil)), nil)
	if err != nil {
		t.Fatal(err)
	}
	stuck, failing := ids.New(), ids.New()
	states := []order.State{
		{ID: ids.New(), Status: order.Placed},
		{ID: ids.New(), Status: order.Reserved, Resends: 1},
		{ID: ids.New(), Status: order.Cancelling},
		{ID: failing, Status: order.Cancelling, Resends: 2, Undo: order.Steps(0).With(order.Charge), Since: time.Now()},
		{ID: ids.New(), Status: order.Cancelled},
		{ID: stuck, Status: order.NeedsOperator, Detail: "undoing charging the payment was never answered"},
	}
	changes := make([]order.Change, len(states))
	for i := range states {
		changes[i].After = states[i]
	}
	a.committed(t.Context(), changes)
	got := strings.Split(strings.TrimSpace(lines.String()), "\n")
	if len(got) != 2 {
		t.Fatalf("%d lines, want 2:\n%s", len(got), lines.String())
	}
	for i, words := range [][]string{
		{"level=WARN", failing.String(), "charging the payment", "resends=2"},
		{"level=ERROR", stuck.String(), "ballast order show", "never answered"},
	} {
		for _, word := range words {
			if !strings.Contains(got[i], word) {
				t.Errorf("line %d lacks %q: %s", i, word, got[i])
			}
		}
	}
}

// TestUnfinishedOrdersAreCountedAside: who looks at the metrics does not wait for a
// database that hangs, and an old number does not stay.
func TestUnfinishedOrdersAreCountedAside(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		metrics, hangs := testkit.NewMetrics(), false
		a, err := newAlarm(metrics.Meter("test"), slog.New(slog.DiscardHandler), func(ctx context.Context) (map[order.Status]int64, error) {
			if hangs {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return map[order.Status]int64{order.Charged: 7, order.NeedsOperator: 3}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.counts.Run(ctx) }()
		check := func(what string, want map[string]float64) {
			t.Helper()
			began := time.Now()
			got, err := metrics.Values(t)
			if diff := cmp.Diff(want, got); diff != "" || err != nil || time.Since(began) > 0 {
				t.Errorf("%s, after %s: %v\n%s", what, time.Since(began), err, diff)
			}
		}
		counted := map[string]float64{
			"orders.unfinished{status=PLACED}": 0, "orders.unfinished{status=RESERVED}": 0, "orders.unfinished{status=CHARGED}": 7,
			"orders.unfinished{status=CANCELLING}": 0, "orders.needs_operator": 3,
		}
		time.Sleep(5500 * time.Millisecond)
		check("after some seconds", counted)
		hangs = true
		time.Sleep(30 * time.Second)
		check("while the database hangs", counted)
		time.Sleep(30 * time.Second)
		check("after a minute of it", map[string]float64{})
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
