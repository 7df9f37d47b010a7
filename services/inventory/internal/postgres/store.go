// Package postgres keeps the products, the stock and the reservations.
//
// Invariants:
//   - What a write announces is in the outbox of the same transaction, and comes
//     after the rows that it announces.
//   - Levels are changed by deltas only, one per SKU and transaction, under locks
//     taken in the order of the SKUs; the CHECKs of the table have the last word.
//   - A reservation is written only over the version that was read.
//   - No transaction waits for anything but the database.
package postgres

import (
	"embed"
	"io/fs"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/ballast/pkg/message"
	"example.com/ballast/services/inventory/internal/stock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations returns the schema's migrations, at the root of the file system.
func Migrations() fs.FS {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // The path is a constant and valid.
	}
	return sub
}

// Store is inventory's database.
type Store struct {
	pool     *pgxpool.Pool
	decider  stock.Decider
	announce func(stock.Product) (message.Message, error)
	signal   func()
}

// Config of a Store.
type Config struct {
	Pool *pgxpool.Pool
	// Decider decides the commands.
	Decider stock.Decider
	// AnnounceProduct makes the message that tells of a product.
	AnnounceProduct func(stock.Product) (message.Message, error)
	// Signal tells the outbox relay, after a commit, that there is something to
	// send. It must not block.
	Signal func()
}

// New returns a Store.
func New(c Config) *Store {
	return &Store{pool: c.Pool, decider: c.Decider, announce: c.AnnounceProduct, signal: c.Signal}
}
