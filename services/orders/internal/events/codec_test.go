package events

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/money"
	"example.com/ballast/services/orders/internal/order"
)

var (
	at       = time.Date(2026, 1, 2, 3, 4, 5, 678000, time.UTC)
	deadline = at.Add(30 * time.Second)
	id       = mustParse("019b7c2e-8a5d-7cc0-9f3a-0123456789ab")
	by       = order.By{Operator: "grace", Reason: "refunded by hand"}
)

func mustParse(s string) ids.ID {
	id, err := ids.Parse(s)
	if err != nil {
		panic(err)
	}
	return id
}

// all is one event of each kind.
func all() []order.Event {
	pounds := func(minor int64) money.Money { return money.Money{Currency: "GBP", Minor: minor} }
	return []order.Event{
		order.WasPlaced{
			ID: id, Customer: "17850", Key: "invoice-536365", RequestHash: []byte{1, 2, 3},
			Lines: []order.Line{{SKU: "85123A", Quantity: 6, Price: pounds(255)}, {SKU: "71053", Quantity: 1, Price: pounds(339)}},
			Total: pounds(1869), Country: "GB", Deadline: deadline,
		},
		order.StepDone{Step: order.Reserve, Answer: 1, Deadline: deadline},
		order.StepDone{Step: order.Charge, Answer: 2, Deadline: deadline},
		order.StepDone{Step: order.Ship, Answer: 1},
		order.CancellationStarted{
			Reason: order.ShipmentRefused, Detail: "KP", Deadline: deadline,
			Undo: order.Steps(0).With(order.Charge).With(order.Reserve),
		},
		order.StepUndone{Step: order.Charge, Answer: 3, Deadline: deadline},
		order.WasCancelled{Reason: order.OutOfStock, Detail: "85123A: 6 wanted, 1 available"},
		order.StepResent{Step: order.Charge, Resends: 2, Deadline: deadline},
		order.OperatorNeeded{Detail: "undoing was never answered"},
		// Of the second version on:
		order.CancellationStarted{
			Reason: order.ByOperator, Detail: "cancelled by an operator", Deadline: deadline, By: by,
			Undo: order.Steps(0).With(order.Ship).With(order.Charge).With(order.Reserve),
		},
		order.OperatorNeeded{
			Detail: "charging the payment was done after the order was cancelled", Step: order.Charge, Answer: 4,
			Undo: order.Steps(0).With(order.Charge),
		},
		order.Resumed{By: by, Undo: order.Steps(0).With(order.Charge).With(order.Reserve), Deadline: deadline},
		order.Resumed{By: by, Deadline: deadline},
		order.Settled{By: by, As: order.Cancelled},
	}
}

func TestEventsRoundTrip(t *testing.T) {
	t.Parallel()
	for i, e := range all() {
		m := Codec{}.Event(order.Recorded{Order: id, Version: int64(i) + 1, At: at, Event: e}, "")
		got, err := Codec{}.Stored(m.Type, m.Value)
		if diff := cmp.Diff(e, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", m.Type, err, diff)
		}
		if m.Topic != OrderEvents || string(m.Key) != id.String() || m.Version != int64(i)+1 || !m.Time.Equal(at) {
			t.Errorf("%s: envelope %+v", m.Type, m)
		}
	}
}

// TestStoredBytesStayReadable holds the bytes of every event as the version that
// brought it wrote them. Never change a line of it: add one for each new version.
func TestStoredBytesStayReadable(t *testing.T) {
	t.Parallel()
	if len(written) != len(all()) {
		t.Fatalf("bytes of %d events, want %d", len(written), len(all()))
	}
	for i, stored := range written {
		data, err := hex.DecodeString(stored.hex)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Codec{}.Stored(stored.typ, data)
		if diff := cmp.Diff(all()[i], got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", stored.typ, err, diff)
		}
	}
}

func FuzzStored(f *testing.F) {
	for _, s := range written {
		data, _ := hex.DecodeString(s.hex)
		f.Add(s.typ, data)
	}
	f.Fuzz(func(t *testing.T, typ string, data []byte) {
		// Whatever the bytes: an event or an error, never a panic; and what can be
		// read can be written and read again.
		e, err := Codec{}.Stored(typ, data)
		if err != nil {
			return
		}
		if p, ok := e.(order.WasPlaced); ok && p.ID == (ids.ID{}) {
			t.Errorf("an order without an id: %+v", p)
		}
	})
}

var written = []struct{ typ, hex string }{
	{"orders.v1.OrderPlaced", "0a2430313962376332652d386135642d376363302d396633612d303132333435363738396162120531373835301a140a0638353132334110061a080a0347425010ff011a130a05373130353310011a080a0347425010d30222080a0347425010cd0e2a024742320a08c3ebdcca0610f0b0293a0e696e766f6963652d3533363336354203010203"},
	{"orders.v1.OrderReserved", "0a2430313962376332652d386135642d376363302d396633612d303132333435363738396162120a08c3ebdcca0610f0b0291801"},
	{"orders.v1.OrderCharged", "0a2430313962376332652d386135642d376363302d396633612d303132333435363738396162120a08c3ebdcca0610f0b0291802"},
	{"orders.v1.OrderConfirmed", "0a2430313962376332652d386135642d376363302d396633612d3031323334353637383961621001"},
	{"orders.v1.OrderCancellationStarted", "0a2430313962376332652d386135642d376363302d396633612d30313233343536373839616210041a024b50220202012a0a08c3ebdcca0610f0b029"},
	{"orders.v1.OrderStepUndone", "0a2430313962376332652d386135642d376363302d396633612d30313233343536373839616210021803220a08c3ebdcca0610f0b029"},
	{"orders.v1.OrderCancelled", "0a2430313962376332652d386135642d376363302d396633612d30313233343536373839616210021a1d3835313233413a20362077616e7465642c203120617661696c61626c65"},
	{"orders.v1.OrderStepResent", "0a2430313962376332652d386135642d376363302d396633612d30313233343536373839616210021802220a08c3ebdcca0610f0b029"},
	{"orders.v1.OrderNeedsOperator", "0a2430313962376332652d386135642d376363302d396633612d303132333435363738396162121a756e646f696e6720776173206e6576657220616e737765726564"},
	{"orders.v1.OrderCancellationStarted", "0a2430313962376332652d386135642d376363302d396633612d30313233343536373839616210071a1863616e63656c6c656420627920616e206f70657261746f7222030302012a0a08c3ebdcca0610f0b029320567726163653a10726566756e6465642062792068616e64"},
	{"orders.v1.OrderNeedsOperator", "0a2430313962376332652d386135642d376363302d396633612d303132333435363738396162123b6368617267696e6720746865207061796d656e742077617320646f6e6520616674657220746865206f72646572207761732063616e63656c6c6564180220042a0102"},
	{"orders.v1.OrderResumed", "0a2430313962376332652d386135642d376363302d396633612d303132333435363738396162120567726163651a10726566756e6465642062792068616e64220202012a0a08c3ebdcca0610f0b029"},
	{"orders.v1.OrderResumed", "0a2430313962376332652d386135642d376363302d396633612d303132333435363738396162120567726163651a10726566756e6465642062792068616e642a0a08c3ebdcca0610f0b029"},
	{"orders.v1.OrderSettled", "0a2430313962376332652d386135642d376363302d396633612d303132333435363738396162120567726163651a10726566756e6465642062792068616e642006"},
}
