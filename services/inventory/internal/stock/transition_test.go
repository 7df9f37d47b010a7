package stock_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/services/inventory/internal/stock"
)

var order = stock.OrderID{1}

func cmd(kind stock.CommandKind) stock.Command {
	c := stock.Command{Kind: kind, OrderID: order}
	if kind == stock.Reserve {
		c.Lines = []stock.Line{{SKU: "A", Quantity: 2}, {SKU: "B", Quantity: 1}}
	}
	if kind == stock.Ship {
		c.Country = "GB"
	}
	return c
}

func shipTo(country string) stock.Command {
	return stock.Command{Kind: stock.Ship, OrderID: order, Country: country}
}

var (
	plenty = map[string]int64{"A": 5, "B": 5}
	short  = map[string]int64{"A": 1}
	missed = []stock.Shortage{{SKU: "A", Requested: 2, Available: 1}, {SKU: "B", Requested: 1, Available: 0}}
)

func TestTransitions(t *testing.T) {
	t.Parallel()
	reserved := stock.Answer{Kind: stock.Reserved, OrderID: order, Version: 1}
	scheduled := stock.Answer{Kind: stock.Scheduled, OrderID: order, Version: 2}
	released := func(v int64) stock.Answer { return stock.Answer{Kind: stock.Released, OrderID: order, Version: v} }
	cancelled := func(v int64) stock.Answer { return stock.Answer{Kind: stock.Cancelled, OrderID: order, Version: v} }
	tooLate := func(v int64) stock.Answer {
		return stock.Answer{Kind: stock.Rejected, OrderID: order, Version: v, Reason: stock.ReasonCancelled}
	}
	outOfStock := stock.Answer{Kind: stock.Rejected, OrderID: order, Version: 1, Reason: stock.ReasonOutOfStock, Shortages: missed}
	refused := func(v int64, reason stock.Reason, detail string) stock.Answer {
		return stock.Answer{Kind: stock.Refused, OrderID: order, Version: v, Reason: reason, Detail: detail}
	}
	const notReserved, notServed, isCancelled = "no stock is reserved: the reservation is ",
		`country "KP" is not served`, "the shipment is cancelled"

	tests := map[string]struct {
		available map[string]int64
		commands  []stock.Command
		want      []stock.Answer
		moved     []stock.MovementKind
	}{
		"checkout": {
			plenty,
			[]stock.Command{cmd(stock.Reserve), cmd(stock.Ship)},
			[]stock.Answer{reserved, scheduled},
			[]stock.MovementKind{stock.MoveReserve, stock.MoveShip},
		},
		"repeats get the same answers": {
			plenty,
			[]stock.Command{cmd(stock.Reserve), cmd(stock.Reserve), cmd(stock.Ship), cmd(stock.Reserve), cmd(stock.Ship)},
			[]stock.Answer{reserved, reserved, scheduled, reserved, scheduled},
			[]stock.MovementKind{stock.MoveReserve, stock.MoveShip},
		},
		"short of one SKU and without the other": {
			short,
			[]stock.Command{cmd(stock.Reserve), cmd(stock.Reserve)},
			[]stock.Answer{outOfStock, outOfStock},
			nil,
		},
		"release of a rejected reservation": {
			short,
			[]stock.Command{cmd(stock.Reserve), cmd(stock.Release), cmd(stock.Reserve)},
			[]stock.Answer{outOfStock, released(2), tooLate(2)},
			nil,
		},
		"all steps undone, last first, and again": {
			plenty,
			[]stock.Command{
				cmd(stock.Reserve), cmd(stock.Ship), cmd(stock.CancelShipment), cmd(stock.Release),
				cmd(stock.CancelShipment), cmd(stock.Release),
			},
			[]stock.Answer{reserved, scheduled, cancelled(3), released(4), cancelled(3), released(4)},
			[]stock.MovementKind{stock.MoveReserve, stock.MoveShip, stock.MoveUnship, stock.MoveRelease},
		},
		"late commands find what undid them": {
			plenty,
			[]stock.Command{cmd(stock.Release), cmd(stock.CancelShipment), cmd(stock.Reserve), cmd(stock.Ship)},
			[]stock.Answer{released(1), cancelled(2), tooLate(1), refused(2, stock.ReasonCancelled, isCancelled)},
			nil,
		},
		"reserve after a shipment that was cancelled unseen": {
			plenty,
			[]stock.Command{cmd(stock.CancelShipment), cmd(stock.Reserve), cmd(stock.Ship)},
			[]stock.Answer{
				cancelled(1), {Kind: stock.Reserved, OrderID: order, Version: 2},
				refused(1, stock.ReasonCancelled, isCancelled),
			},
			[]stock.MovementKind{stock.MoveReserve},
		},
		"release while the shipment is scheduled undoes both": {
			plenty,
			[]stock.Command{cmd(stock.Reserve), cmd(stock.Ship), cmd(stock.Release), cmd(stock.CancelShipment), cmd(stock.Ship)},
			[]stock.Answer{reserved, scheduled, released(3), cancelled(3), refused(3, stock.ReasonCancelled, isCancelled)},
			[]stock.MovementKind{stock.MoveReserve, stock.MoveShip, stock.MoveUnship, stock.MoveRelease},
		},
		"shipment without a reservation stays refused": {
			plenty,
			[]stock.Command{cmd(stock.Ship), cmd(stock.Reserve), cmd(stock.Ship)},
			[]stock.Answer{
				refused(1, stock.ReasonNotReserved, notReserved+"none"),
				{Kind: stock.Reserved, OrderID: order, Version: 2},
				refused(1, stock.ReasonNotReserved, notReserved+"none"),
			},
			[]stock.MovementKind{stock.MoveReserve},
		},
		"shipment of a released reservation": {
			plenty,
			[]stock.Command{cmd(stock.Reserve), cmd(stock.Release), cmd(stock.Ship)},
			[]stock.Answer{reserved, released(2), refused(3, stock.ReasonNotReserved, notReserved+"released")},
			[]stock.MovementKind{stock.MoveReserve, stock.MoveRelease},
		},
		"country that is not served": {
			plenty,
			[]stock.Command{cmd(stock.Reserve), shipTo("kp"), shipTo("KP"), cmd(stock.CancelShipment), cmd(stock.Release)},
			[]stock.Answer{
				reserved, refused(2, stock.ReasonDestination, notServed), refused(2, stock.ReasonDestination, notServed),
				cancelled(3), released(4),
			},
			[]stock.MovementKind{stock.MoveReserve, stock.MoveRelease},
		},
		"country that is none": {
			plenty,
			[]stock.Command{cmd(stock.Reserve), shipTo("")},
			[]stock.Answer{reserved, refused(2, stock.ReasonDestination, `country "" is not served`)},
			[]stock.MovementKind{stock.MoveReserve},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outcome := stock.NewDecider([]string{"KP", " sy"}).Decide(stock.View{Available: tt.available}, tt.commands)
			if diff := cmp.Diff(tt.want, outcome.Answers); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
			var moved []stock.MovementKind
			for _, m := range outcome.Movements {
				moved = append(moved, m.Kind)
			}
			if diff := cmp.Diff(tt.moved, moved); diff != "" {
				t.Errorf("movements (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFold(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		lines, want []stock.Line
		ok          bool
	}{
		"adds up and sorts": {
			[]stock.Line{{SKU: "B", Quantity: 1}, {SKU: "A", Quantity: 2}, {SKU: "B", Quantity: 3}},
			[]stock.Line{{SKU: "A", Quantity: 2}, {SKU: "B", Quantity: 4}},
			true,
		},
		"zero":     {[]stock.Line{{SKU: "A"}}, nil, false},
		"negative": {[]stock.Line{{SKU: "A", Quantity: 5}, {SKU: "A", Quantity: -1}}, nil, false},
		"overflow": {[]stock.Line{{SKU: "A", Quantity: 1 << 30}, {SKU: "A", Quantity: 1 << 30}}, nil, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := stock.Fold(tt.lines)
			if diff := cmp.Diff(tt.want, got); diff != "" || ok != tt.ok {
				t.Errorf("Fold() = %v, want %v (-want +got):\n%s", ok, tt.ok, diff)
			}
		})
	}
}
