package cache_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"

	pkgcache "example.com/ballast/pkg/cache"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/money"
	"example.com/ballast/pkg/testkit"
	"example.com/ballast/services/inventory/internal/cache"
	"example.com/ballast/services/inventory/internal/stock"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// source is a database of one product that counts its reads.
type source struct {
	sku   string
	price atomic.Int64
	loads atomic.Int64
}

func (s *source) load(_ context.Context, sku string) (stock.Product, error) {
	s.loads.Add(1)
	if sku != s.sku {
		return stock.Product{}, stock.ErrUnknownProduct
	}
	price := s.price.Load()
	return stock.Product{SKU: sku, Price: money.Money{Currency: "GBP", Minor: price}, Version: price}, nil
}

func setup(t *testing.T, addr string) (*cache.Products, *source) {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	redis, err := pkgcache.Connect("redis://"+addr+"/0", logger)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Close() })
	s := &source{sku: testkit.Unique(t, "sku")}
	s.price.Store(1)
	products, err := cache.NewProducts(cache.Config{
		Redis: redis, Logger: logger, Load: s.load, Stale: func(context.Context, string) bool { return true },
	})
	if err != nil {
		t.Fatal(err)
	}
	return products, s
}

func TestProductIsReadOncePerVersion(t *testing.T) {
	t.Parallel()
	products, s := setup(t, testkit.Redis(t))
	for price := int64(1); price <= 3; price++ {
		for range 3 {
			p, err := products.Product(t.Context(), s.sku)
			if err != nil || p.Price.Minor != price {
				t.Fatalf("price %v, %v, want %d", p.Price, err, price)
			}
		}
		if got := s.loads.Load(); got != price {
			t.Errorf("%d reads of the database after %d versions", got, price)
		}
		s.price.Add(1)
		if price == 1 {
			products.Changed(t.Context(), []stock.Product{{SKU: s.sku, Version: price + 1}})
		} else {
			products.Announced(t.Context(), []message.Message{{Key: []byte(s.sku), Version: price + 1}})
		}
	}
}

func TestUnknownProductIsRemembered(t *testing.T) {
	t.Parallel()
	products, s := setup(t, testkit.Redis(t))
	unknown := testkit.Unique(t, "unknown")
	for range 3 {
		if _, err := products.Product(t.Context(), unknown); !errors.Is(err, stock.ErrUnknownProduct) {
			t.Fatal(err)
		}
	}
	if got := s.loads.Load(); got != 1 {
		t.Errorf("%d reads of the database, want 1", got)
	}
}

// Without Redis answers are right, and only slower.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	products, s := setup(t, "127.0.0.1:1")
	for range 3 {
		if p, err := products.Product(t.Context(), s.sku); err != nil || p.Price.Minor != 1 {
			t.Fatal(p, err)
		}
	}
	products.Changed(t.Context(), []stock.Product{{SKU: s.sku, Version: 2}})
}
