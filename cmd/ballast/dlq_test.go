package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"example.com/ballast/cmd/ballast/internal/stack"
)

func TestMoment(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Time{"": {}, "90m": now.Add(-90 * time.Minute), "2026-11-22T09:00:00Z": now.Add(-3 * time.Hour)} {
		if got, err := moment(s, now); err != nil || !got.Equal(want) {
			t.Errorf("%q is %v, %v; want %v", s, got, err, want)
		}
	}
	if _, err := moment("yesterday", now); err == nil {
		t.Error("yesterday is accepted")
	}
}

func TestShorten(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{"short": "short", "two\nlines\x00": "two lines ", "äöüäöüäöüäöü": "äöüäöüä..."} {
		if got := shorten(s, 10); got != want {
			t.Errorf("%q becomes %q, want %q", s, got, want)
		}
	}
}

// TestDLQRefuses: what is wrong with a command is said before a broker is asked.
func TestDLQRefuses(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"discard":                            "--reason is missing",
		"replay --limit -1":                  "must not be negative",
		"list --since yesterday":             "--since yesterday: want a time",
		"list":                               "no stack there",
		"outbox discard --service orders 1":  "--reason is missing",
		"outbox replay 1":                    "--service is missing",
		"outbox replay --service orders one": "is not the number of a row",
		"outbox list --service shop":         "want one of orders, inventory, payments",
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			home := stack.Home(t.TempDir())
			cmd := dlqCommand(func() stack.Home { return home })
			cmd.SetArgs(strings.Fields(args))
			cmd.SetOut(io.Discard)
			cmd.SetErr(io.Discard)
			if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v; want %q", err, want)
			}
		})
	}
}
