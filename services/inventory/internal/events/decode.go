// Package events speaks Kafka for inventory: it decodes the commands, encodes the
// answers and the products, and republishes the catalogue.
package events

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	inventoryv1 "example.com/ballast/gen/inventory/v1"
	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/message"
	"example.com/ballast/services/inventory/internal/stock"
)

// maxLines bounds one order: above all orders of the real data (1,200) and far
// below what would hold up the other orders of a batch.
const maxLines = 5000

// Longest values: of a SKU in characters, as the API has it; of a country in bytes,
// which leaves room to be wrong and to be told so in an answer.
const (
	maxSKU     = 64
	maxCountry = 8
)

// decode turns a message into a command. An error means that the message can
// never be handled.
func decode(m message.Message) (stock.Command, error) {
	switch m.Type {
	case "inventory.v1.ReserveStock":
		return parse(m, stock.Reserve, func(p *inventoryv1.ReserveStock, c *stock.Command) (err error) {
			c.Lines, err = decodeLines(p.GetLines())
			return err
		})
	case "inventory.v1.ReleaseStock":
		return parse(m, stock.Release, func(*inventoryv1.ReleaseStock, *stock.Command) error { return nil })
	case "inventory.v1.ScheduleShipment":
		return parse(m, stock.Ship, func(p *inventoryv1.ScheduleShipment, c *stock.Command) error {
			if c.Country = p.GetCountry(); len(c.Country) > maxCountry {
				return fmt.Errorf("country: want at most %d bytes", maxCountry)
			}
			return nil
		})
	case "inventory.v1.CancelShipment":
		return parse(m, stock.CancelShipment, func(*inventoryv1.CancelShipment, *stock.Command) error { return nil })
	}
	return stock.Command{}, fmt.Errorf("unknown type %q", m.Type)
}

// payload is what all commands have in common.
type payload[T any] interface {
	*T
	proto.Message
	GetOrderId() string
}

func parse[T any, P payload[T]](m message.Message, kind stock.CommandKind, rest func(P, *stock.Command) error) (stock.Command, error) {
	p := P(new(T))
	if err := proto.Unmarshal(m.Value, p); err != nil {
		return stock.Command{}, fmt.Errorf("%s: %w", m.Type, err)
	}
	id, err := ids.Parse(p.GetOrderId())
	if err != nil {
		return stock.Command{}, fmt.Errorf("%s: order_id: %w", m.Type, err)
	}
	// Order is kept by key, and so only for commands whose key is their order.
	if string(m.Key) != p.GetOrderId() {
		return stock.Command{}, fmt.Errorf("%s: key %q is not the order id %q", m.Type, m.Key, p.GetOrderId())
	}
	c := stock.Command{Kind: kind, OrderID: stock.OrderID(id)}
	if err := rest(p, &c); err != nil {
		return stock.Command{}, fmt.Errorf("%s: %w", m.Type, err)
	}
	return c, nil
}

func decodeLines(in []*inventoryv1.StockLine) ([]stock.Line, error) {
	if len(in) == 0 || len(in) > maxLines {
		return nil, fmt.Errorf("%d lines: want 1 to %d", len(in), maxLines)
	}
	lines := make([]stock.Line, len(in))
	for i, l := range in {
		// Postgres has no text with the character NUL.
		if sku := l.GetSku(); sku == "" || utf8.RuneCountInString(sku) > maxSKU || strings.ContainsRune(sku, 0) {
			return nil, fmt.Errorf("lines[%d].sku: want 1 to %d characters without NUL", i, maxSKU)
		}
		lines[i] = stock.Line{SKU: l.GetSku(), Quantity: l.GetQuantity()}
	}
	folded, ok := stock.Fold(lines)
	if !ok {
		return nil, errors.New("lines.quantity: want more than 0 and a sum per SKU within an int32")
	}
	return folded, nil
}
