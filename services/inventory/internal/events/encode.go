package events

import (
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	inventoryv1 "example.com/ballast/gen/inventory/v1"
	moneyv1 "example.com/ballast/gen/money/v1"
	"example.com/ballast/pkg/message"
	"example.com/ballast/services/inventory/internal/stock"
)

// The topics of inventory.
const (
	CommandsTopic = "inventory.commands"
	EventsTopic   = "inventory.events"
	// ProductsTopic is compacted: it holds at least the last record of each SKU.
	ProductsTopic = "inventory.products"
)

// source is who sends these messages, for CloudEvents.
const source = "/inventory"

// reasons translates the domain's reasons.
var reasons = map[stock.Reason]inventoryv1.RejectReason{
	stock.ReasonOutOfStock:  inventoryv1.RejectReason_REJECT_REASON_OUT_OF_STOCK,
	stock.ReasonCancelled:   inventoryv1.RejectReason_REJECT_REASON_CANCELLED,
	stock.ReasonDestination: inventoryv1.RejectReason_REJECT_REASON_DESTINATION,
	stock.ReasonNotReserved: inventoryv1.RejectReason_REJECT_REASON_NOT_RESERVED,
}

// encode makes the message of an answer. The trace goes on from the command's.
func encode(a stock.Answer, traceParent string, now time.Time) (message.Message, error) {
	id := uuid.UUID(a.OrderID).String()
	m, err := pack(EventsTopic, id, a.Version, payloadOf(a, id), now)
	m.TraceParent = traceParent
	return m, err
}

func payloadOf(a stock.Answer, id string) proto.Message {
	switch a.Kind {
	case stock.Reserved:
		return &inventoryv1.StockReserved{OrderId: id, Version: a.Version}
	case stock.Rejected:
		p := &inventoryv1.StockRejected{OrderId: id, Version: a.Version, Reason: reasons[a.Reason]}
		for _, s := range a.Shortages {
			p.Shortages = append(p.Shortages, &inventoryv1.Shortage{Sku: s.SKU, Requested: s.Requested, Available: s.Available})
		}
		return p
	case stock.Released:
		return &inventoryv1.StockReleased{OrderId: id, Version: a.Version}
	case stock.Scheduled:
		return &inventoryv1.ShipmentScheduled{OrderId: id, Version: a.Version}
	case stock.Refused:
		return &inventoryv1.ShipmentRefused{OrderId: id, Version: a.Version, Reason: reasons[a.Reason], Detail: a.Detail}
	case stock.Cancelled:
		return &inventoryv1.ShipmentCancelled{OrderId: id, Version: a.Version}
	default:
		panic(fmt.Errorf("events: answer of unknown kind %d", a.Kind))
	}
}

// EncodeProduct makes the message that tells of a product as it is now.
func EncodeProduct(p stock.Product, now time.Time) (message.Message, error) {
	return pack(ProductsTopic, p.SKU, p.Version, &inventoryv1.ProductChanged{
		Sku: p.SKU, Description: p.Description, Version: p.Version, Deleted: p.Deleted,
		Price: &moneyv1.Money{Currency: p.Price.Currency, MinorUnits: p.Price.Minor},
	}, now)
}

func pack(topic, key string, version int64, p proto.Message, now time.Time) (message.Message, error) {
	value, err := proto.Marshal(p)
	if err != nil {
		return message.Message{}, fmt.Errorf("encode %s of %s: %w", p.ProtoReflect().Descriptor().FullName(), key, err)
	}
	typ := string(p.ProtoReflect().Descriptor().FullName())
	return message.New(topic, typ, source, key, version, value, now), nil
}
