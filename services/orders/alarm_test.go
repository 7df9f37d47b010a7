package main

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"example.com/ballast/pkg/ids"
	"example.com/ballast/services/orders/internal/order"
)

// TestTheAlarmTellsWhatPeopleMustKnow, and nothing else: an order on its way is no
// news.
func TestTheAlarmTellsWhatPeopleMustKnow(t *testing.T) {
	t.Parallel()
	var lines bytes.Buffer
	a, err := newAlarm(slog.New(slog.NewTextHandler(&lines, nil)), func(context.Context) (map[order.Status]int64, error) { return nil, nil })
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
