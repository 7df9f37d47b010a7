package events

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	inventoryv1 "example.com/ballast/gen/inventory/v1"
	moneyv1 "example.com/ballast/gen/money/v1"
	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/money"
	"example.com/ballast/pkg/stream"
	"example.com/ballast/services/inventory/internal/stock"
)

const order = "01980000-0000-7000-8000-000000000001"

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func orderID(t testing.TB) stock.OrderID {
	t.Helper()
	id, err := ids.Parse(order)
	if err != nil {
		t.Fatal(err)
	}
	return stock.OrderID(id)
}

func command(t testing.TB, p proto.Message) message.Message {
	t.Helper()
	m, err := pack(CommandsTopic, order, 0, p, now)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDecode(t *testing.T) {
	t.Parallel()
	id := orderID(t)
	tests := map[string]struct {
		in   proto.Message
		want stock.Command
	}{
		"reserve, folded": {
			&inventoryv1.ReserveStock{OrderId: order, Lines: []*inventoryv1.StockLine{
				{Sku: "B", Quantity: 1}, {Sku: "A", Quantity: 2}, {Sku: "B", Quantity: 3},
			}},
			stock.Command{Kind: stock.Reserve, OrderID: id, Lines: []stock.Line{{SKU: "A", Quantity: 2}, {SKU: "B", Quantity: 4}}},
		},
		"release":         {&inventoryv1.ReleaseStock{OrderId: order}, stock.Command{Kind: stock.Release, OrderID: id}},
		"ship":            {&inventoryv1.ScheduleShipment{OrderId: order, Country: "GB"}, stock.Command{Kind: stock.Ship, OrderID: id, Country: "GB"}},
		"cancel shipment": {&inventoryv1.CancelShipment{OrderId: order}, stock.Command{Kind: stock.CancelShipment, OrderID: id}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := decode(command(t, tt.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("command (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	reserve := func(lines ...*inventoryv1.StockLine) proto.Message {
		return &inventoryv1.ReserveStock{OrderId: order, Lines: lines}
	}
	tests := map[string]struct {
		in     proto.Message
		change func(*message.Message)
		want   string
	}{
		"bytes":            {reserve(), func(m *message.Message) { m.Value = []byte{0xff} }, "inventory.v1.ReserveStock: proto"},
		"type":             {reserve(), func(m *message.Message) { m.Type = "inventory.v1.Reserve" }, "unknown type"},
		"answer":           {&inventoryv1.StockReserved{OrderId: order}, nil, "unknown type"},
		"order id":         {&inventoryv1.ReleaseStock{OrderId: "1"}, func(m *message.Message) { m.Key = []byte("1") }, "order_id: an id has 36 characters"},
		"key":              {&inventoryv1.ReleaseStock{OrderId: order}, func(m *message.Message) { m.Key = nil }, "is not the order id"},
		"no lines":         {reserve(), nil, "0 lines"},
		"too many lines":   {reserve(make([]*inventoryv1.StockLine, maxLines+1)...), nil, "5001 lines"},
		"no SKU":           {reserve(&inventoryv1.StockLine{Quantity: 1}), nil, "lines[0].sku"},
		"NUL in the SKU":   {reserve(&inventoryv1.StockLine{Sku: "a\x00", Quantity: 1}), nil, "lines[0].sku"},
		"long SKU":         {reserve(&inventoryv1.StockLine{Sku: strings.Repeat("é", 65), Quantity: 1}), nil, "lines[0].sku"},
		"no quantity":      {reserve(&inventoryv1.StockLine{Sku: "A"}), nil, "lines.quantity"},
		"quantity too low": {reserve(&inventoryv1.StockLine{Sku: "A", Quantity: -1}), nil, "lines.quantity"},
		"country":          {&inventoryv1.ScheduleShipment{OrderId: order, Country: "Deutschland"}, nil, "country"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := command(t, tt.in)
			if tt.change != nil {
				tt.change(&m)
			}
			if _, err := decode(m); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// Whatever bytes come, decode neither panics nor lets through what the database
// would choke on.
func FuzzDecode(f *testing.F) {
	value, err := proto.Marshal(&inventoryv1.ReserveStock{OrderId: order, Lines: []*inventoryv1.StockLine{{Sku: "A", Quantity: 1}}})
	if err != nil {
		f.Fatal(err)
	}
	for _, kind := range []string{"ReserveStock", "ReleaseStock", "ScheduleShipment", "CancelShipment"} {
		f.Add("inventory.v1."+kind, value)
	}
	f.Fuzz(func(t *testing.T, kind string, value []byte) {
		c, err := decode(message.Message{Type: kind, Key: []byte(order), Value: value})
		if err != nil {
			return
		}
		if c.OrderID != orderID(t) || (c.Kind == stock.Reserve) != (len(c.Lines) > 0) {
			t.Errorf("decoded %+v", c)
		}
		for i, l := range c.Lines {
			if l.SKU == "" || strings.ContainsRune(l.SKU, 0) || l.Quantity <= 0 || i > 0 && c.Lines[i-1].SKU >= l.SKU {
				t.Errorf("line %d of %+v", i, c.Lines)
			}
		}
	})
}

func TestEncode(t *testing.T) {
	t.Parallel()
	id := orderID(t)
	tests := map[string]struct {
		in   stock.Answer
		want proto.Message
	}{
		"reserved": {stock.Answer{Kind: stock.Reserved, OrderID: id, Version: 1}, &inventoryv1.StockReserved{OrderId: order, Version: 1}},
		"rejected": {
			stock.Answer{
				Kind: stock.Rejected, OrderID: id, Version: 1, Reason: stock.ReasonOutOfStock,
				Shortages: []stock.Shortage{{SKU: "A", Requested: 3, Available: 2}},
			},
			&inventoryv1.StockRejected{
				OrderId: order, Version: 1, Reason: inventoryv1.RejectReason_REJECT_REASON_OUT_OF_STOCK,
				Shortages: []*inventoryv1.Shortage{{Sku: "A", Requested: 3, Available: 2}},
			},
		},
		"released":  {stock.Answer{Kind: stock.Released, OrderID: id, Version: 2}, &inventoryv1.StockReleased{OrderId: order, Version: 2}},
		"scheduled": {stock.Answer{Kind: stock.Scheduled, OrderID: id, Version: 2}, &inventoryv1.ShipmentScheduled{OrderId: order, Version: 2}},
		"refused": {
			stock.Answer{Kind: stock.Refused, OrderID: id, Version: 2, Reason: stock.ReasonNotReserved, Detail: "why"},
			&inventoryv1.ShipmentRefused{OrderId: order, Version: 2, Reason: inventoryv1.RejectReason_REJECT_REASON_NOT_RESERVED, Detail: "why"},
		},
		"cancelled": {stock.Answer{Kind: stock.Cancelled, OrderID: id, Version: 3}, &inventoryv1.ShipmentCancelled{OrderId: order, Version: 3}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := encode(tt.in, "00-trace", now)
			if err != nil {
				t.Fatal(err)
			}
			got := tt.want.ProtoReflect().New().Interface()
			if err := proto.Unmarshal(m.Value, got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, protocmp.Transform()); diff != "" {
				t.Errorf("value (-want +got):\n%s", diff)
			}
			want := message.Message{
				ID: m.ID, Type: string(tt.want.ProtoReflect().Descriptor().FullName()), Source: "/inventory", Subject: order,
				Time: now, Topic: EventsTopic, Key: []byte(order), Value: m.Value, Version: tt.in.Version, TraceParent: "00-trace",
			}
			if diff := cmp.Diff(want, m); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEncodeProduct(t *testing.T) {
	t.Parallel()
	m, err := EncodeProduct(stock.Product{
		SKU: "A", Description: "an A", Price: money.Money{Currency: "GBP", Minor: 250}, Version: 7, Deleted: true,
	}, now)
	if err != nil {
		t.Fatal(err)
	}
	var got inventoryv1.ProductChanged
	if err := proto.Unmarshal(m.Value, &got); err != nil {
		t.Fatal(err)
	}
	want := &inventoryv1.ProductChanged{
		Sku: "A", Description: "an A", Price: &moneyv1.Money{Currency: "GBP", MinorUnits: 250}, Version: 7, Deleted: true,
	}
	if diff := cmp.Diff(want, &got, protocmp.Transform()); diff != "" {
		t.Errorf("product (-want +got):\n%s", diff)
	}
	if string(m.Key) != "A" || m.Topic != ProductsTopic || m.Version != 7 {
		t.Errorf("message %+v", m)
	}
}

// All poison of a batch is named at once, and nothing of the batch is applied.
func TestHandleBatchRejectsPoison(t *testing.T) {
	t.Parallel()
	h := NewHandler(func(context.Context, []stock.Command, func([]stock.Answer) ([]message.Message, error)) error {
		t.Error("a batch with poison was applied")
		return nil
	}, time.Now)
	good := command(t, &inventoryv1.ReleaseStock{OrderId: order})
	err := h.HandleBatch(t.Context(), []stream.Record{{Message: message.Message{Type: "x"}}, {Message: good}, {Message: message.Message{Type: "y"}}})
	want := "record 0 rejected: unknown type \"x\"\nrecord 2 rejected: unknown type \"y\""
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// Each answer goes on with the trace of its own command.
func TestHandleBatchAnswersInOrder(t *testing.T) {
	t.Parallel()
	var msgs []message.Message
	away := errors.New("the database is away")
	h := NewHandler(func(_ context.Context, commands []stock.Command, announce func([]stock.Answer) ([]message.Message, error)) error {
		var err error
		msgs, err = announce(stock.Decider{}.Decide(stock.View{}, commands).Answers)
		return errors.Join(err, away)
	}, func() time.Time { return now })
	release, cancel := command(t, &inventoryv1.ReleaseStock{OrderId: order}), command(t, &inventoryv1.CancelShipment{OrderId: order})
	release.TraceParent, cancel.TraceParent = "first", "second"
	err := h.HandleBatch(t.Context(), []stream.Record{{Message: release}, {Message: cancel}})
	if !errors.Is(err, away) {
		t.Errorf("error %v, want the one of apply", err)
	}
	var got []string
	for _, m := range msgs {
		got = append(got, m.Type+" "+m.TraceParent)
	}
	if diff := cmp.Diff([]string{"inventory.v1.StockReleased first", "inventory.v1.ShipmentCancelled second"}, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}
