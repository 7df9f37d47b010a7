package postgres_test

import (
	"strings"
	"testing"
	"time"

	"example.com/ballast/services/orders/internal/order"
)

// What the sweeper or a person makes of an order goes on in its trace, if that is
// recorded; nothing is kept of the others.
func TestWhatComesLaterGoesOnInTheOrdersTrace(t *testing.T) {
	t.Parallel()
	trace := func(digit, flags string) string {
		return "00-" + strings.Repeat(digit, 32) + "-" + strings.Repeat(digit, 16) + "-" + flags
	}
	b := setup(t)
	p := placement("ada", "recorded")
	p.Trace = trace("1", "01")
	recorded := b.place(t, p)
	p = placement("ada", "not recorded")
	p.Trace = trace("2", "00")
	other := b.place(t, p)
	b.now = b.now.Add(time.Minute)
	sent := len(b.sent(t))
	if n, err := b.Sweep(t.Context(), 10, []order.Step{order.Reserve}); err != nil || n != 2 {
		t.Fatalf("swept %d: %v", n, err)
	}
	told := []order.Told{
		{Order: recorded.ID, Fact: order.Cancel{}, Trace: trace("3", "00")},
		{Order: other.ID, Fact: order.Cancel{}, Trace: trace("4", "01")},
	}
	if _, err := b.Tell(t.Context(), told); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, m := range b.sent(t)[sent:] {
		id := "recorded: "
		if string(m.Key) == other.ID.String() {
			id = "other: "
		}
		seen[id+m.TraceParent]++
	}
	// Event and command of the sweep, and of the cancellation.
	for carried, want := range map[string]int{"recorded: " + trace("1", "01"): 4, "other: ": 2, "other: " + trace("4", "01"): 2} {
		if seen[carried] != want {
			t.Errorf("%d messages of %s, want %d: %v", seen[carried], carried, want, seen)
		}
	}
}
