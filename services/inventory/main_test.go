package main

import (
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	inventoryv1 "example.com/ballast/gen/inventory/v1"
	moneyv1 "example.com/ballast/gen/money/v1"
	"example.com/ballast/pkg/config"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/testkit"
)

// The stories share one service, one after the other: on a broker that is shared,
// a second one with another database would join the same consumer group.
func TestInventory(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	t.Run("products are fresh after a change", b.testProducts)
	t.Run("orders, poison and a restart", b.testOrders)
	t.Run("stuck calls and a stuck consumer", b.testBulkheads)
	t.Run("a deadline and a lock", b.testDeadline)
	t.Run("postgres away and back", b.testPostgresAway)
}

// A catalogue by RPC, commands by Kafka, a restart in between, poison among the
// good, and the books in the end.
func (b *bundle) testOrders(t *testing.T) {
	sku := testkit.Unique(t, "sku")
	stop := b.start(t)
	b.load(t, sku, 3)

	first, second := newOrder(), newOrder()
	lines := []*inventoryv1.StockLine{{Sku: sku, Quantity: 2}}
	b.send(t, first, &inventoryv1.ReserveStock{OrderId: first, Lines: lines})
	b.send(t, "poison", &inventoryv1.ReserveStock{OrderId: "poison", Lines: lines})
	b.send(t, second, &inventoryv1.ReserveStock{OrderId: second, Lines: lines})
	events := b.records(t, "inventory.events")
	if got := answers(t, events.next(1, keyed(first))); got != "inventory.v1.StockReserved v1" {
		t.Errorf("the first order got %s", got)
	}
	if got := answers(t, events.next(1, keyed(second))); got != "inventory.v1.StockRejected v1" {
		t.Errorf("the second order got %s", got)
	}
	dead := b.records(t, "inventory.commands.inventory.dlq").next(1, keyed("poison"))[0]
	if string(dead.Value) == "" || !strings.Contains(header(dead, "__dlq.errors.message"), "order_id: an id has 36 characters") {
		t.Errorf("dead letter: %s", header(dead, "__dlq.errors.message"))
	}

	stop()
	b.send(t, first,
		&inventoryv1.ReserveStock{OrderId: first, Lines: lines},
		&inventoryv1.ScheduleShipment{OrderId: first, Country: "GB"})
	b.start(t)
	want := "inventory.v1.StockReserved v1, inventory.v1.ShipmentScheduled v2"
	if got := answers(t, events.next(2, keyed(first))); got != want {
		t.Errorf("after the restart the first order got %s, want %s", got, want)
	}

	stock, err := b.operator.ListStock(t.Context(), &inventoryv1.ListStockRequest{PageToken: sku[:len(sku)-1], PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	level := stock.GetLevels()[0]
	if got := []int64{level.GetReceived(), level.GetOnHand(), level.GetReserved(), level.GetShipped()}; !cmp.Equal(got, []int64{3, 1, 0, 2}) {
		t.Errorf("received, on hand, reserved, shipped: %v, want 3, 1, 0, 2", got)
	}
	list, err := b.operator.ListReservations(t.Context(), &inventoryv1.ListReservationsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, r := range list.GetReservations() {
		got[r.GetOrderId()] = r.GetStatus().String()
	}
	if diff := cmp.Diff(map[string]string{first: "RESERVATION_STATUS_SHIPPED", second: "RESERVATION_STATUS_REJECTED"}, got); diff != "" {
		t.Errorf("reservations (-want +got):\n%s", diff)
	}
}

// A product that is read from the cache is read anew after its change.
func (b *bundle) testProducts(t *testing.T) {
	b.start(t)
	sku := testkit.Unique(t, "sku")
	b.load(t, sku, 1)
	for version := int64(1); version <= 3; version++ {
		for range 2 {
			res, err := b.customer.GetProduct(t.Context(), &inventoryv1.GetProductRequest{Sku: sku})
			if err != nil {
				t.Fatal(err)
			}
			if got := res.GetProduct().GetVersion(); got != version {
				t.Fatalf("version %d, want %d", got, version)
			}
		}
		if _, err := b.operator.UpsertProducts(t.Context(), &inventoryv1.UpsertProductsRequest{
			Products: []*inventoryv1.Product{{Sku: sku, Price: &moneyv1.Money{Currency: "GBP", MinorUnits: 1000 + version}}},
		}); err != nil {
			t.Fatal(err)
		}
	}
	// Others of it may be there more than once: the whole catalogue is told again and again.
	last := b.records(t, "inventory.products").next(1, func(r *kgo.Record) bool {
		return keyed(sku)(r) && header(r, "ce_aggregateversion") == "4"
	})
	if got := answers(t, last); got != "inventory.v1.ProductChanged v4" {
		t.Errorf("the last change is told as %s", got)
	}
}

// load makes a product with units on the shelf, waiting for the service to start.
func (b *bundle) load(t *testing.T, sku string, units int32) {
	t.Helper()
	req := &inventoryv1.UpsertProductsRequest{Products: []*inventoryv1.Product{
		{Sku: sku, Description: "a thing", Price: &moneyv1.Money{Currency: "GBP", MinorUnits: 999}},
	}}
	testkit.Eventually(t, "inventory takes calls", func() bool {
		_, err := b.operator.UpsertProducts(t.Context(), req)
		if err != nil && connect.CodeOf(err) != connect.CodeUnavailable {
			t.Fatal(err)
		}
		return err == nil
	})
	if _, err := b.operator.ReceiveStock(t.Context(), &inventoryv1.ReceiveStockRequest{
		ReceiptId: testkit.Unique(t, "receipt"), Lines: []*inventoryv1.StockLine{{Sku: sku, Quantity: units}},
	}); err != nil {
		t.Fatal(err)
	}
}

// answers renders types and versions.
func answers(t *testing.T, records []*kgo.Record) string {
	t.Helper()
	var all []string
	for _, r := range records {
		m, err := message.FromRecord(r)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m.Type+" v"+header(r, "ce_aggregateversion"))
	}
	return strings.Join(all, ", ")
}

func header(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

func TestConfigSaysAllThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := config.Parse[Config](map[string]string{
		"POSTGRES_URL": "postgres://h/d", "KAFKA_BROKERS": "h:1", "REDIS_URL": "redis://h:1/0", "JWT_PUBLIC_KEY_FILE": "k",
		"POSTGRES_CONNS": "1", "MAX_BATCH": "0", "REPUBLISH_EVERY": "0s", "UNSERVED_COUNTRIES": "KP,Cuba",
	})
	for _, want := range []string{"POSTGRES_CONNS=1", "MAX_BATCH=0", "REPUBLISH_EVERY=0s", `UNSERVED_COUNTRIES: "Cuba"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %s: %v", want, err)
		}
	}
}
