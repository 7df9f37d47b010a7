package stock_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.com/ballast/services/inventory/internal/stock"
)

// Greedy in order of arrival: one aggregated update would give the last unit to
// nobody, and a window over running sums would refuse the third order, too.
func TestArrivalOrderDecides(t *testing.T) {
	t.Parallel()
	reserve := func(id byte, quantity int32) stock.Command {
		return stock.Command{Kind: stock.Reserve, OrderID: stock.OrderID{id}, Lines: []stock.Line{{SKU: "A", Quantity: quantity}}}
	}
	outcome := stock.Decider{}.Decide(stock.View{Available: map[string]int64{"A": 5}},
		[]stock.Command{reserve(9, 3), reserve(2, 4), reserve(1, 2), reserve(3, 1)})
	var kinds []stock.AnswerKind
	for _, a := range outcome.Answers {
		kinds = append(kinds, a.Kind)
	}
	want := []stock.AnswerKind{stock.Reserved, stock.Rejected, stock.Reserved, stock.Rejected}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]stock.Delta{{SKU: "A", Reserved: 5}}, outcome.Deltas); diff != "" {
		t.Errorf("deltas (-want +got):\n%s", diff)
	}
}

// A unit released earlier in a batch can be reserved later in it.
func TestReleasedUnitsAreAvailableAtOnce(t *testing.T) {
	t.Parallel()
	line := []stock.Line{{SKU: "A", Quantity: 1}}
	held := stock.Reservation{
		OrderID: stock.OrderID{1}, Version: 1, Status: stock.StatusReserved, StatusVersion: 1, Lines: line,
		Shipment: stock.Shipment{Status: stock.ShipmentNone},
	}
	view := stock.View{
		Reservations: map[stock.OrderID]stock.Reservation{held.OrderID: held},
		Available:    map[string]int64{"A": 0},
	}
	outcome := stock.Decider{}.Decide(view, []stock.Command{
		{Kind: stock.Release, OrderID: held.OrderID},
		{Kind: stock.Reserve, OrderID: stock.OrderID{2}, Lines: line},
	})
	if got := outcome.Answers[1].Kind; got != stock.Reserved {
		t.Errorf("the second answer is %d, want reserved", got)
	}
	if len(outcome.Deltas) != 0 {
		t.Errorf("deltas that cancel out are written: %v", outcome.Deltas)
	}
	if view.Available["A"] != 0 {
		t.Error("the caller's view was changed")
	}
}

// world is a store in memory: it applies outcomes as the database does and fails
// the test where the database would abort.
type world struct {
	reservations map[stock.OrderID]stock.Reservation
	onHand       map[string]int64
	reserved     map[string]int64
	journal      map[stock.OrderID][]stock.MovementKind
}

func newWorld(onHand map[string]int64) *world {
	return &world{
		reservations: map[stock.OrderID]stock.Reservation{}, onHand: maps.Clone(onHand),
		reserved: map[string]int64{}, journal: map[stock.OrderID][]stock.MovementKind{},
	}
}

func (w *world) run(t *rapid.T, commands []stock.Command) []stock.Answer {
	view := stock.View{Reservations: w.reservations, Available: map[string]int64{}}
	for sku, units := range w.onHand {
		view.Available[sku] = units - w.reserved[sku]
	}
	outcome := stock.NewDecider([]string{"KP"}).Decide(view, commands)
	for _, c := range outcome.Changed {
		if w.reservations[c.OrderID].Version != c.Previous || c.Version <= c.Previous {
			t.Fatalf("order %x: version %d after %d", c.OrderID[:1], c.Version, c.Previous)
		}
		w.reservations[c.OrderID] = c.Reservation
	}
	for _, d := range outcome.Deltas {
		w.onHand[d.SKU] += d.OnHand
		w.reserved[d.SKU] += d.Reserved
		if w.reserved[d.SKU] < 0 || w.reserved[d.SKU] > w.onHand[d.SKU] {
			t.Fatalf("%s: %d reserved of %d on hand", d.SKU, w.reserved[d.SKU], w.onHand[d.SKU])
		}
	}
	for _, m := range outcome.Movements {
		if slices.Contains(w.journal[m.OrderID], m.Kind) {
			t.Fatalf("order %x: %s twice", m.OrderID[:1], m.Kind)
		}
		w.journal[m.OrderID] = append(w.journal[m.OrderID], m.Kind)
	}
	return outcome.Answers
}

// held adds up what the reservations say, the other way to know the level.
func (w *world) held() (reserved, shipped map[string]int64) {
	reserved, shipped = map[string]int64{}, map[string]int64{}
	for _, r := range w.reservations {
		for _, l := range r.Lines {
			switch {
			case r.Shipped():
				shipped[l.SKU] += int64(l.Quantity)
			case r.Status == stock.StatusReserved:
				reserved[l.SKU] += int64(l.Quantity)
			}
		}
	}
	return reserved, shipped
}

func drawCommands(t *rapid.T) []stock.Command {
	command := rapid.Custom(func(t *rapid.T) stock.Command {
		c := stock.Command{
			Kind:    rapid.SampledFrom([]stock.CommandKind{stock.Reserve, stock.Reserve, stock.Ship, stock.Release, stock.CancelShipment}).Draw(t, "kind"),
			OrderID: stock.OrderID{rapid.Byte().Draw(t, "order") % 8},
		}
		if c.Kind == stock.Reserve {
			skus := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"A", "B", "C", "unknown"}), 1, 3, rapid.ID[string]).Draw(t, "skus")
			for _, sku := range slices.SortedFunc(slices.Values(skus), strings.Compare) {
				c.Lines = append(c.Lines, stock.Line{SKU: sku, Quantity: rapid.Int32Range(1, 4).Draw(t, "quantity")})
			}
		}
		if c.Kind == stock.Ship {
			c.Country = rapid.SampledFrom([]string{"GB", "GB", "KP"}).Draw(t, "country")
		}
		return c
	})
	return rapid.SliceOfN(command, 1, 40).Draw(t, "commands")
}

// Whatever is asked in whatever order: the levels add up, answers are repeated
// word for word, and a batch decides as its commands would one by one.
func TestRandomCommands(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		initial := map[string]int64{"A": 3, "B": 5, "C": 9}
		commands := drawCommands(t)
		single, batched := newWorld(initial), newWorld(initial)

		var one []stock.Answer
		for _, c := range commands {
			one = append(one, single.run(t, []stock.Command{c})...)
		}
		var all []stock.Answer
		for rest := commands; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "batch")
			all = append(all, batched.run(t, rest[:n])...)
			rest = rest[n:]
		}
		if diff := cmp.Diff(one, all); diff != "" {
			t.Fatalf("a batch answers otherwise than its commands one by one (-one +batch):\n%s", diff)
		}
		if diff := cmp.Diff(single.reservations, batched.reservations); diff != "" {
			t.Fatalf("reservations (-one +batch):\n%s", diff)
		}

		reserved, shipped := batched.held()
		for sku, received := range initial {
			if batched.reserved[sku] != reserved[sku] || batched.onHand[sku]+shipped[sku] != received {
				t.Fatalf("%s: received %d, on hand %d, reserved %d; reservations hold %d and shipped %d",
					sku, received, batched.onHand[sku], batched.reserved[sku], reserved[sku], shipped[sku])
			}
		}
		checkRepeats(t, batched, commands)
		checkVersions(t, all)
	})
}

// checkRepeats asks everything again: nothing moves, and asked twice the answers
// are equal. Undoings after the first answer may have changed it to CANCELLED.
func checkRepeats(t *rapid.T, w *world, commands []stock.Command) {
	before := maps.Clone(w.onHand)
	first := w.run(t, commands)
	second := w.run(t, commands)
	if diff := cmp.Diff(first, second); diff != "" {
		t.Fatalf("asked again, the answers differ (-first +second):\n%s", diff)
	}
	if diff := cmp.Diff(before, w.onHand); diff != "" {
		t.Fatalf("asked again, units moved (-before +after):\n%s", diff)
	}
}

// checkVersions verifies that the first answers at each version of an order are
// numbered 1, 2, 3: what a consumer applies has no gap.
func checkVersions(t *rapid.T, answers []stock.Answer) {
	last := map[stock.OrderID]int64{}
	for _, a := range answers {
		if a.Version > last[a.OrderID]+1 {
			t.Fatalf("order %x: version %d after %d", a.OrderID[:1], a.Version, last[a.OrderID])
		}
		last[a.OrderID] = max(last[a.OrderID], a.Version)
	}
}
