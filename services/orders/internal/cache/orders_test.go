package cache_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pkgcache "example.com/ballast/pkg/cache"
	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/money"
	"example.com/ballast/pkg/testkit"
	"example.com/ballast/services/orders/internal/cache"
	"example.com/ballast/services/orders/internal/order"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// bundle is a cache in front of a database of one order that counts its reads.
type bundle struct {
	*cache.Orders

	mu    sync.Mutex
	view  order.View
	loads int
	fail  error
}

func setup(t *testing.T) *bundle {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	redis, err := pkgcache.Connect("redis://"+testkit.Redis(t)+"/0", logger)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Close() })
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_000, time.UTC)
	gbp := func(minor int64) money.Money { return money.Money{Currency: "GBP", Minor: minor} }
	b := &bundle{view: order.View{
		State: order.State{
			ID: ids.New(), Customer: "ada", Status: order.Placed, Version: 1, Total: gbp(1530), Country: "GB",
			Lines:     []order.Line{{SKU: "85123A", Quantity: 6, Price: gbp(255)}},
			CreatedAt: at, UpdatedAt: at, Since: at, Deadline: at.Add(time.Minute),
		},
		Recipient: order.Recipient{Name: "Ada", Lines: []string{"St. James's Square 12"}, City: "London"},
	}}
	b.Orders, err = cache.New(cache.Config{
		Redis: redis, Logger: logger, Load: b.load, Stale: func(context.Context, ids.ID) bool { return true },
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bundle) load(_ context.Context, id ids.ID) (order.View, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.loads++
	if id != b.view.ID {
		return order.View{}, order.ErrNotFound
	}
	return b.view, b.fail
}

// commit writes the next version.
func (b *bundle) commit(status order.Status) order.State {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.view.Status, b.view.Version = status, b.view.Version+1
	return b.view.State
}

// want reads the order twice: it must be as committed, and read once at most.
func (b *bundle) want(t *testing.T, loads int) {
	t.Helper()
	for range 2 {
		got, err := b.Get(t.Context(), b.view.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(b.view, got); diff != "" {
			t.Error(diff)
		}
	}
	if b.loads != loads {
		t.Errorf("%d reads of the database, want %d", b.loads, loads)
	}
}

// event is what the feed brings of a version.
func event(id ids.ID, version int64) message.Message {
	return message.Message{Key: []byte(id.String()), Version: version}
}

func TestAnOrderIsReadOncePerVersion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.view.ID
	b.want(t, 1)
	b.commit(order.Reserved)
	b.commit(order.Charged)
	// One key in any order, one of another, and one that is none.
	b.Happened(t.Context(), []message.Message{event(id, 3), event(id, 1), event(ids.New(), 9), {Key: []byte("?")}})
	b.want(t, 2)
	b.Happened(t.Context(), []message.Message{event(id, 2), event(id, 3)}) // late, and twice
	b.want(t, 2)
	tell := b.Telling(func(context.Context, []order.Told) ([]order.Verdict, error) {
		return []order.Verdict{{State: b.commit(order.Cancelling)}, {Err: order.ErrNotFound}}, nil
	})
	if _, err := tell(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	b.want(t, 3) // whoever cancelled sees it, before the event
	b.Happened(t.Context(), []message.Message{event(id, 4)})
	b.want(t, 3)
}

// With the database away, a customer sees the order as it was.
func TestTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.want(t, 1)
	b.Happened(t.Context(), []message.Message{event(b.view.ID, 2)})
	b.fail = errors.New("away")
	b.want(t, 3)
	if _, err := b.Get(t.Context(), ids.New()); !errors.Is(err, order.ErrNotFound) {
		t.Errorf("%v, want not found", err)
	}
}
