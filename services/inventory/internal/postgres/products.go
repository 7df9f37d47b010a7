package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/outbox"
	"example.com/ballast/services/inventory/internal/stock"
)

// upsertProducts leaves a product alone that is as it should be: then it takes no
// version and tells nobody. Rows are locked in the order of the SKUs.
const upsertProducts = `
INSERT INTO products AS p (sku, description, currency, price_minor, version, deleted)
SELECT u.sku, u.description, u.currency, u.price_minor, 1, u.deleted
FROM unnest(@skus::text[], @descriptions::text[], @currencies::text[], @prices::bigint[], @deleted::boolean[])
     AS u(sku, description, currency, price_minor, deleted)
ORDER BY u.sku COLLATE "C"
ON CONFLICT (sku) DO UPDATE SET
    description = excluded.description,
    currency = excluded.currency,
    price_minor = excluded.price_minor,
    deleted = excluded.deleted,
    version = p.version + 1,
    updated_at = now()
WHERE (p.description, p.currency, p.price_minor, p.deleted)
      IS DISTINCT FROM (excluded.description, excluded.currency, excluded.price_minor, excluded.deleted)
RETURNING sku, description, currency, price_minor, version, deleted`

// UpsertProducts creates or changes products, each SKU at most once, and returns
// those that changed, with their versions.
func (s *Store) UpsertProducts(ctx context.Context, products []stock.Product) ([]stock.Product, error) {
	var skus, descriptions, currencies []string
	var prices []int64
	var deleted []bool
	for _, p := range products {
		skus, descriptions, deleted = append(skus, p.SKU), append(descriptions, p.Description), append(deleted, p.Deleted)
		currencies, prices = append(currencies, p.Price.Currency), append(prices, p.Price.Minor)
	}
	changed, err := s.publish(ctx, upsertProducts, pgx.StrictNamedArgs{
		"skus": skus, "descriptions": descriptions, "currencies": currencies, "prices": prices, "deleted": deleted,
	})
	if err != nil {
		return nil, fmt.Errorf("upsert products: %w", err)
	}
	return changed, nil
}

// republishPage locks the rows that it reads: without that, a change could
// commit its message between our read and our insert, and the last record of
// the key, which is the one that compaction keeps, would be an old version.
const republishPage = `
SELECT sku, description, currency, price_minor, version, deleted
FROM products WHERE sku > @after
ORDER BY sku LIMIT @limit
FOR SHARE`

// republishPageSize keeps the locks of a page short; it is chosen by judgement.
const republishPageSize = 500

// Republish announces every product as it is now, a page per transaction. It
// returns the number of products.
func (s *Store) Republish(ctx context.Context) (int, error) {
	total, after := 0, ""
	for {
		page, err := s.publish(ctx, republishPage, pgx.StrictNamedArgs{"after": after, "limit": republishPageSize})
		if err != nil {
			return total, fmt.Errorf("republish products after %q: %w", after, err)
		}
		total += len(page)
		if len(page) < republishPageSize {
			return total, nil
		}
		after = page[len(page)-1].SKU
	}
}

// publish runs a statement that returns products and announces them in the same
// transaction.
func (s *Store) publish(ctx context.Context, sql string, args pgx.StrictNamedArgs) ([]stock.Product, error) {
	var products []stock.Product
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sql, args)
		if err != nil {
			return err
		}
		if products, err = pgx.CollectRows(rows, scanProduct); err != nil {
			return err
		}
		msgs := make([]message.Message, len(products))
		for i, p := range products {
			if msgs[i], err = s.announce(p); err != nil {
				return err
			}
		}
		b := &pgx.Batch{}
		outbox.Queue(ctx, b, msgs)
		return tx.SendBatch(ctx, b).Close()
	})
	if err == nil && len(products) > 0 {
		s.signal()
	}
	return products, err
}

const getProduct = `
SELECT sku, description, currency, price_minor, version, deleted FROM products WHERE sku = $1`

// Product reads one product. It fails with stock.ErrUnknownProduct.
func (s *Store) Product(ctx context.Context, sku string) (stock.Product, error) {
	rows, err := s.pool.Query(ctx, getProduct, sku)
	if err != nil {
		return stock.Product{}, fmt.Errorf("read product %q: %w", sku, err)
	}
	p, err := pgx.CollectExactlyOneRow(rows, scanProduct)
	if errors.Is(err, pgx.ErrNoRows) {
		err = stock.ErrUnknownProduct
	}
	if err != nil {
		return stock.Product{}, fmt.Errorf("read product %q: %w", sku, err)
	}
	return p, nil
}

const listProducts = `
SELECT sku, description, currency, price_minor, version, deleted
FROM products WHERE sku > $1
ORDER BY sku LIMIT $2`

// Products reads a page of the catalogue: those after a SKU, by SKU.
func (s *Store) Products(ctx context.Context, after string, limit int) ([]stock.Product, error) {
	rows, err := s.pool.Query(ctx, listProducts, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list products: %w", err)
	}
	page, err := pgx.CollectRows(rows, scanProduct)
	if err != nil {
		return nil, fmt.Errorf("list products: %w", err)
	}
	return page, nil
}

func scanProduct(row pgx.CollectableRow) (stock.Product, error) {
	var p stock.Product
	err := row.Scan(&p.SKU, &p.Description, &p.Price.Currency, &p.Price.Minor, &p.Version, &p.Deleted)
	return p, err
}
