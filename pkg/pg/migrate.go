package pg

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// Migrate brings the database at url up to the newest of the migrations, which
// are goose's *.sql files at the root of fsys. The role in url must own the
// database. Replicas may call it at once: a lock lets one of them work while
// the others wait up to a minute. A database that is away is waited for.
func Migrate(ctx context.Context, url string, fsys fs.FS, logger *slog.Logger) error {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("postgres migration URL: %w (want postgres://owner:password@host:5432/database)", err)
	}
	db := stdlib.OpenDB(*config)
	defer func() { _ = db.Close() }() // Nothing is left to be written.
	if err := await(ctx, logger, config, db.PingContext); err != nil {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60)) // Every second, 60 times.
	if err != nil {
		return fmt.Errorf("migration lock: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, fsys,
		goose.WithSessionLocker(locker),
		goose.WithDisableGlobalRegistry(true),
		goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	results, err := provider.Up(ctx)
	for _, r := range results {
		logger.InfoContext(ctx, "migrated", "database", config.Database, "migration", r.Source.Path,
			"took", r.Duration.Round(time.Millisecond).String())
	}
	if err != nil {
		return fmt.Errorf("migrate %s: %w", config.Database, err)
	}
	if len(results) == 0 {
		logger.InfoContext(ctx, "the schema is up to date", "database", config.Database)
	}
	return nil
}
