package postgres

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/ballast/services/inventory/internal/stock"
)

func TestCheckoutAndItsUndoing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.shelve(map[string]int32{"A": 5, "B": 2})

	answers := b.mustApply(reserve(1, line("A", 2), line("B", 2)), reserve(2, line("A", 1), line("B", 1)))
	want := []stock.Answer{
		{Kind: stock.Reserved, OrderID: orderID(1), Version: 1},
		{
			Kind: stock.Rejected, OrderID: orderID(2), Version: 1, Reason: stock.ReasonOutOfStock,
			Shortages: []stock.Shortage{{SKU: "B", Requested: 1, Available: 0}},
		},
	}
	if diff := cmp.Diff(want, answers); diff != "" {
		t.Fatalf("answers (-want +got):\n%s", diff)
	}
	again := b.mustApply(reserve(2, line("A", 1), line("B", 1)), reserve(1, line("A", 2), line("B", 2)))
	if diff := cmp.Diff([]stock.Answer{want[1], want[0]}, again); diff != "" {
		t.Fatalf("answers to the repeats (-want +got):\n%s", diff)
	}

	b.mustApply(ship(1))
	if onHand, reserved := b.level("A"); onHand != 3 || reserved != 0 {
		t.Errorf("after the shipment: %d on hand, %d reserved, want 3 and 0", onHand, reserved)
	}
	b.mustApply(cancelShipment(1))
	if onHand, reserved := b.level("A"); onHand != 5 || reserved != 2 {
		t.Errorf("after its cancellation: %d on hand, %d reserved, want 5 and 2", onHand, reserved)
	}
	answers = b.mustApply(release(1), release(2))
	if diff := cmp.Diff([]int64{4, 2}, []int64{answers[0].Version, answers[1].Version}); diff != "" {
		t.Errorf("versions of the releases (-want +got):\n%s", diff)
	}
	if onHand, reserved := b.level("A"); onHand != 5 || reserved != 0 {
		t.Errorf("after the release: %d on hand, %d reserved, want 5 and 0", onHand, reserved)
	}
	b.checkBooks()
	if got := len(b.outbox()); got != 2+8 {
		t.Errorf("%d messages in the outbox, want one per product and per command: 10", got)
	}
}

// An undoing that arrives first is written down, and the step is refused for ever.
func TestUndoingBeforeTheStep(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.shelve(map[string]int32{"A": 5})
	b.mustApply(release(1), cancelShipment(1))
	answers := b.mustApply(reserve(1, line("A", 1)), ship(1))
	for i, want := range []stock.AnswerKind{stock.Rejected, stock.Refused} {
		if answers[i].Kind != want || answers[i].Reason != stock.ReasonCancelled {
			t.Errorf("answer %d is %+v, want kind %d, cancelled", i, answers[i], want)
		}
	}
	if onHand, reserved := b.level("A"); onHand != 5 || reserved != 0 {
		t.Errorf("%d on hand, %d reserved, want 5 and 0", onHand, reserved)
	}
	b.checkBooks()
}

func TestUnknownSKUIsShort(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.shelve(map[string]int32{"A": 5, "never received": 0})
	for i, sku := range []string{"no product", "never received"} {
		answers := b.mustApply(reserve(i, line("A", 1), line(sku, 3)))
		want := []stock.Answer{{
			Kind: stock.Rejected, OrderID: orderID(i), Version: 1, Reason: stock.ReasonOutOfStock,
			Shortages: []stock.Shortage{{SKU: sku, Requested: 3, Available: 0}},
		}}
		if diff := cmp.Diff(want, answers); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
	}
	b.checkBooks()
}

// What a statement meets twice it would apply once: orders and SKUs that repeat
// within a batch, and orders with more lines than anybody would expect.
func TestBatchWithRepeatedKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	shelves := map[string]int32{"hot": 100}
	var large []stock.Line
	for i := range 1200 {
		sku := fmt.Sprintf(`sku "%04d\`, i)
		shelves[sku] = 3
		large = append(large, line(sku, 2))
	}
	b.shelve(shelves)
	commands := []stock.Command{reserve(0, large...), ship(0)}
	for i := 1; i <= 60; i++ {
		commands = append(commands, reserve(i, line("hot", 2)), ship(i), release(i+100))
	}
	answers := b.mustApply(commands...)
	var reserved int
	for _, a := range answers {
		if a.Kind == stock.Reserved {
			reserved++
		}
	}
	if reserved != 51 {
		t.Errorf("%d orders reserved, want the large one and 50 of 60", reserved)
	}
	if onHand, held := b.level("hot"); onHand != 0 || held != 0 {
		t.Errorf("%d on hand, %d reserved, want all gone", onHand, held)
	}
	page, _, err := b.Reservations(t.Context(), stock.OrderID{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if page[0].OrderID != orderID(1) {
		t.Errorf("the page after order 0 begins with %x", page[0].OrderID)
	}
	view, err := b.read(t.Context(), []stock.Command{ship(0)})
	if err != nil {
		t.Fatal(err)
	}
	r := view.Reservations[orderID(0)]
	if diff := cmp.Diff(large, r.Lines, cmpopts.SortSlices(func(a, b stock.Line) bool { return a.SKU < b.SKU })); diff != "" {
		t.Errorf("lines of the large order (-want +got):\n%s", diff)
	}
	b.checkBooks()
}

// The guess of the fast path is wrong when units were taken since it was made:
// the CHECK aborts, and the locked path gives the last unit to exactly one.
func TestUnitsTakenSinceTheRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.shelve(map[string]int32{"A": 2})
	commands := []stock.Command{reserve(1, line("A", 1)), reserve(2, line("A", 1))}
	view, err := b.read(t.Context(), commands)
	if err != nil {
		t.Fatal(err)
	}
	b.mustApply(reserve(9, line("A", 1)))
	err = b.write(t.Context(), b.pool, b.decider.Decide(view, commands), announce)
	if !isShort(err) {
		t.Fatalf("the write over stale levels gave %v, want the CHECK of stock", err)
	}
	var answers []stock.Answer
	if err := b.applyLocked(t.Context(), view, commands, capture(&answers)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]stock.AnswerKind{stock.Reserved, stock.Rejected}, kinds(answers)); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	b.checkBooks()
}
