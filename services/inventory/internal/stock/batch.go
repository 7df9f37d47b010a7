package stock

import (
	"bytes"
	"maps"
	"math"
	"slices"
	"strings"
)

// Decider decides batches of commands. The zero value serves every country.
type Decider struct {
	unserved map[string]bool
}

// NewDecider returns a Decider that refuses shipments to the given countries,
// ISO 3166-1 alpha-2.
func NewDecider(unserved []string) Decider {
	set := make(map[string]bool, len(unserved))
	for _, country := range unserved {
		set[strings.ToUpper(strings.TrimSpace(country))] = true
	}
	return Decider{unserved: set}
}

// View is what a batch is decided on.
type View struct {
	// Reservations of the batch's orders; an order that is missing was never seen.
	Reservations map[OrderID]Reservation
	// Available units by SKU for all lines to reserve; a SKU that is missing has none.
	Available map[string]int64
}

// Outcome is what a batch changes, folded so that a statement meets no key twice:
// a set-based UPDATE with a repeated key would apply only one of the changes.
type Outcome struct {
	// Changed reservations, one per order, sorted by order id.
	Changed []Change
	// Movements in the order in which they happened.
	Movements []Movement
	// Deltas of the levels, one per SKU and sorted by SKU, without those that are zero.
	Deltas []Delta
	// Answers, one per command and in the order of the commands.
	Answers []Answer
}

// Change is a reservation as it is to be, and the version that it was read at.
type Change struct {
	Reservation
	Previous int64
}

// Delta is a change of a SKU's level.
type Delta struct {
	SKU      string
	OnHand   int64
	Reserved int64
}

// Decide runs the commands one after the other, in order of arrival: whoever comes
// first gets the units, and an order that is refused leaves them to the next. A
// batch decides as its commands would one by one. The view is not changed.
func (d Decider) Decide(view View, commands []Command) Outcome {
	available := maps.Clone(view.Available)
	if available == nil {
		available = map[string]int64{}
	}
	records := make(map[OrderID]*Change, len(commands))
	levels := make(map[string]*Delta)
	outcome := Outcome{Answers: make([]Answer, 0, len(commands))}
	for _, c := range commands {
		r := records[c.OrderID]
		if r == nil {
			r = load(view, c.OrderID)
			records[c.OrderID] = r
		}
		answer, moved := d.apply(&r.Reservation, available, c)
		outcome.Answers = append(outcome.Answers, answer)
		for _, kind := range moved {
			outcome.Movements = append(outcome.Movements, Movement{OrderID: c.OrderID, Kind: kind, Lines: r.Lines})
			move(available, levels, kind, r.Lines)
		}
	}
	for _, r := range records {
		if r.Version != r.Previous {
			outcome.Changed = append(outcome.Changed, *r)
		}
	}
	slices.SortFunc(outcome.Changed, func(a, b Change) int { return bytes.Compare(a.OrderID[:], b.OrderID[:]) })
	for _, delta := range levels {
		if delta.OnHand != 0 || delta.Reserved != 0 {
			outcome.Deltas = append(outcome.Deltas, *delta)
		}
	}
	slices.SortFunc(outcome.Deltas, func(a, b Delta) int { return strings.Compare(a.SKU, b.SKU) })
	return outcome
}

func load(view View, id OrderID) *Change {
	r, ok := view.Reservations[id]
	if !ok {
		r = Reservation{OrderID: id, Status: StatusNone, Shipment: Shipment{Status: ShipmentNone}}
	}
	return &Change{Reservation: r, Previous: r.Version}
}

// move books a movement. Units that are shipped come off both columns, so that
// only reserving and releasing change what is available.
func move(available map[string]int64, levels map[string]*Delta, kind MovementKind, lines []Line) {
	for _, l := range lines {
		delta := levels[l.SKU]
		if delta == nil {
			delta = &Delta{SKU: l.SKU}
			levels[l.SKU] = delta
		}
		units := int64(l.Quantity)
		switch kind {
		case MoveReserve:
			delta.Reserved += units
			available[l.SKU] -= units
		case MoveRelease:
			delta.Reserved -= units
			available[l.SKU] += units
		case MoveShip:
			delta.OnHand -= units
			delta.Reserved -= units
		case MoveUnship:
			delta.OnHand += units
			delta.Reserved += units
		}
	}
}

// Fold adds up the lines of the same SKU and sorts them by SKU. It returns false
// when a quantity is not more than zero or a sum exceeds what a line can hold.
func Fold(lines []Line) ([]Line, bool) {
	sums := make(map[string]int64, len(lines))
	for _, l := range lines {
		sums[l.SKU] += int64(l.Quantity)
		if l.Quantity <= 0 || sums[l.SKU] > math.MaxInt32 {
			return nil, false
		}
	}
	folded := make([]Line, 0, len(sums))
	for _, sku := range slices.Sorted(maps.Keys(sums)) {
		folded = append(folded, Line{SKU: sku, Quantity: int32(sums[sku])})
	}
	return folded, true
}

// SKUs returns all SKUs that the commands may touch in any outcome, sorted: the
// lines to reserve and, since they may be released or sent off, those held.
func SKUs(view View, commands []Command) []string {
	set := make(map[string]struct{})
	for _, c := range commands {
		for _, l := range c.Lines {
			set[l.SKU] = struct{}{}
		}
		for _, l := range view.Reservations[c.OrderID].Lines {
			set[l.SKU] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(set))
}
