package events

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	inventoryv1 "example.com/ballast/gen/inventory/v1"
	"example.com/ballast/pkg/stream"
	"example.com/ballast/services/orders/internal/order"
)

// Products handles batches of inventory's catalogue. Upsert keeps the higher version.
func Products(upsert func(context.Context, []order.Product) error) stream.Handler {
	return func(ctx context.Context, batch []stream.Record) error {
		products := make([]order.Product, 0, len(batch))
		var poison []error
		for i, r := range batch {
			p, err := decodeProduct(r)
			if err != nil {
				poison = append(poison, stream.Reject(i, err))
				continue
			}
			products = append(products, p)
		}
		if len(poison) > 0 {
			return errors.Join(poison...)
		}
		return upsert(ctx, products)
	}
}

func decodeProduct(r stream.Record) (order.Product, error) {
	if r.Type != "inventory.v1.ProductChanged" {
		return order.Product{}, fmt.Errorf("unknown message type %q", r.Type)
	}
	m := &inventoryv1.ProductChanged{}
	if err := proto.Unmarshal(r.Value, m); err != nil {
		return order.Product{}, fmt.Errorf("%s: %w", r.Type, err)
	}
	if m.GetSku() == "" || m.GetVersion() <= 0 || m.GetPrice().GetMinorUnits() < 0 || len(m.GetPrice().GetCurrency()) != 3 {
		return order.Product{}, fmt.Errorf("%s: sku, version and price are needed: %v", r.Type, m)
	}
	return order.Product{
		SKU: m.GetSku(), Price: amount(m.GetPrice()), Version: m.GetVersion(), Deleted: m.GetDeleted(),
	}, nil
}
