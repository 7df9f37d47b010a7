package postgres

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/money"
	"example.com/ballast/pkg/testkit"
	"example.com/ballast/services/inventory/internal/stock"
)

func product(sku string, price int64) stock.Product {
	return stock.Product{SKU: sku, Description: "a " + sku, Price: money.Money{Currency: "GBP", Minor: price}}
}

func versioned(p stock.Product, version int64) stock.Product {
	p.Version = version
	return p
}

func TestUpsertTakesAVersionForAChangeOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	upsert := func(products ...stock.Product) []stock.Product {
		t.Helper()
		changed, err := b.UpsertProducts(t.Context(), products)
		if err != nil {
			t.Fatal(err)
		}
		return changed
	}
	upsert(product("A", 100), product("B", 200))
	gone := product("B", 200)
	gone.Deleted = true
	got := upsert(gone, product("A", 100), product("C", 300))
	if diff := cmp.Diff([]stock.Product{versioned(gone, 2), versioned(product("C", 300), 1)}, got); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	if got := upsert(gone, product("A", 100)); len(got) > 0 {
		t.Errorf("nothing changed, but this was returned: %v", got)
	}
	if signals := b.signals.Load(); signals != 2 {
		t.Errorf("the relay was signalled %d times, want 2", signals)
	}
	var told []string
	for _, m := range b.outbox() {
		told = append(told, fmt.Sprintf("%s v%d", m.Key, m.Version))
	}
	if diff := cmp.Diff([]string{"A v1", "B v1", "B v2", "C v1"}, told); diff != "" {
		t.Errorf("outbox (-want +got):\n%s", diff)
	}
	page, err := b.Products(t.Context(), "A", 1)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]stock.Product{versioned(gone, 2)}, page); diff != "" {
		t.Errorf("the page after A (-want +got):\n%s", diff)
	}
	if _, err := b.Product(t.Context(), "D"); !errors.Is(err, stock.ErrUnknownProduct) {
		t.Errorf("an unknown SKU gave %v", err)
	}
}

func TestRepublishAnnouncesEverything(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var products []stock.Product
	for i := range republishPageSize + 3 {
		products = append(products, product(fmt.Sprintf("%05d", i), 100))
	}
	if _, err := b.UpsertProducts(t.Context(), products); err != nil {
		t.Fatal(err)
	}
	before := len(b.outbox())
	n, err := b.Republish(t.Context())
	if err != nil || n != len(products) {
		t.Fatalf("republished %d, %v, want %d", n, err, len(products))
	}
	if got := len(b.outbox()) - before; got != len(products) {
		t.Errorf("%d messages, want %d", got, len(products))
	}
}

// A change that comes in the middle of a round waits for it: the last record of a
// key, which is the one that compaction keeps, is never an old version.
func TestRepublishHoldsChangesBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := b.UpsertProducts(t.Context(), []stock.Product{product("A", 1)}); err != nil {
		t.Fatal(err)
	}
	var g errgroup.Group
	middle := New(Config{Pool: b.pool, Signal: func() {}, AnnounceProduct: func(p stock.Product) (message.Message, error) {
		changed := make(chan struct{})
		g.Go(func() error {
			defer close(changed)
			_, err := b.UpsertProducts(t.Context(), []stock.Product{product("A", 2)})
			return err
		})
		testkit.Eventually(t, "the change waits or is through", func() bool {
			select {
			case <-changed:
				return true
			default:
				return b.waiting() > 0
			}
		})
		return announceProduct(p)
	}})
	if _, err := middle.Republish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	var versions []int64
	for _, m := range b.outbox() {
		versions = append(versions, m.Version)
	}
	if diff := cmp.Diff([]int64{1, 1, 2}, versions); diff != "" {
		t.Errorf("versions in the outbox (-want +got):\n%s", diff)
	}
}

// waiting is the number of sessions of this database that wait for a lock.
func (b *bundle) waiting() (n int) {
	b.t.Helper()
	const sql = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
	if err := b.pool.QueryRow(b.t.Context(), sql).Scan(&n); err != nil {
		b.t.Fatal(err)
	}
	return n
}

func TestReceiptCountsOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := b.UpsertProducts(t.Context(), []stock.Product{product("A", 1), product("B", 1)}); err != nil {
		t.Fatal(err)
	}
	delivery := []stock.Line{line("A", 3), line("B", 4)}
	for i, want := range []bool{true, false} {
		received, err := b.Receive(t.Context(), "r1", delivery)
		if err != nil || received != want {
			t.Errorf("call %d: received %v, %v, want %v", i, received, err, want)
		}
	}
	if _, err := b.Receive(t.Context(), "r1", delivery[:1]); !errors.Is(err, stock.ErrReceiptReused) {
		t.Errorf("the same receipt with other lines gave %v", err)
	}
	_, err := b.Receive(t.Context(), "r2", []stock.Line{line("A", 1), line("X", 1), line("Y", 1)})
	if diff := cmp.Diff("unknown products: X, Y", fmt.Sprint(err)); diff != "" {
		t.Errorf("a delivery of unknown products (-want +got):\n%s", diff)
	}
	if received, err := b.Receive(t.Context(), "r3", []stock.Line{line("A", 1)}); err != nil || !received {
		t.Errorf("a second delivery: %v, %v", received, err)
	}
	b.mustApply(reserve(1, line("A", 2)), ship(1), reserve(2, line("B", 1)), ship(2), cancelShipment(2))
	levels, err := b.Levels(t.Context(), "", 10)
	if err != nil {
		t.Fatal(err)
	}
	want := []stock.Level{
		{SKU: "A", OnHand: 2, Reserved: 0, Received: 4, Shipped: 2},
		{SKU: "B", OnHand: 4, Reserved: 1, Received: 4, Shipped: 0},
	}
	if diff := cmp.Diff(want, levels); diff != "" {
		t.Errorf("levels (-want +got):\n%s", diff)
	}
	if levels, err = b.Levels(t.Context(), "A", 1); err != nil || len(levels) != 1 || levels[0].SKU != "B" {
		t.Errorf("the page after A: %v, %v", levels, err)
	}
	b.checkBooks()
}
