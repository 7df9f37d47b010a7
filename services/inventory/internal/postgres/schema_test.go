package postgres

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/ballast/pkg/lease"
	"example.com/ballast/pkg/outbox"
	"example.com/ballast/pkg/testkit"
)

// Every statement fits the migrated schema.
func TestStatementsPrepare(t *testing.T) {
	t.Parallel()
	pool := testkit.Postgres(t, Migrations())
	statements := map[string]string{
		"readReservations": readReservations, "readAvailable": readAvailable, "lockAvailable": lockAvailable,
		"upsertReservations": upsertReservations, "insertMovements": insertMovements,
		"moveStock": moveStock, "upsertProducts": upsertProducts, "republishPage": republishPage,
		"getProduct": getProduct, "listProducts": listProducts, "receiveStock": receiveStock,
		"getReceipt": getReceipt, "unknownSKUs": unknownSKUs, "listLevels": listLevels,
		"listReservations": listReservations,
	}
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for name, sql := range statements {
		// Only the rewriting knows the named arguments' positions.
		rewritten, _, err := pgx.NamedArgs{}.RewriteQuery(t.Context(), conn.Conn(), sql, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := conn.Conn().Prepare(t.Context(), name, rewritten); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What belongs to the packages is in the migrations word for word.
func TestPlatformTables(t *testing.T) {
	t.Parallel()
	for file, schema := range map[string]string{
		"00002_create_outbox.sql": outbox.Schema, "00003_create_lease.sql": lease.Schema,
		"00005_decide_outbox_dead.sql": outbox.DeadSchema,
	} {
		text, err := fs.ReadFile(Migrations(), file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), strings.TrimSpace(schema)) {
			t.Errorf("%s does not contain its package's schema", file)
		}
	}
}

// The service's role can do its work, and can neither change the schema nor
// rewrite the journals.
func TestAppRole(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.shelve(map[string]int32{"A": 5})
	grants := b.privileges()
	for _, table := range []string{"products", "stock", "reservations", "outbox", "outbox_dead", "lease"} {
		if got := grants[table]; got != "DELETE INSERT SELECT UPDATE" {
			t.Errorf("%s: %q", table, got)
		}
	}
	for _, table := range []string{"movements", "receipts"} {
		if got := grants[table]; got != "INSERT SELECT" {
			t.Errorf("%s: %q", table, got)
		}
	}
}

// privileges runs the grants as they would run where the role exists. The role
// belongs to the whole server, so all happens in a transaction that is undone.
func (b *bundle) privileges() map[string]string {
	b.t.Helper()
	ctx := b.t.Context()
	up, err := fs.ReadFile(Migrations(), "00004_grant_app.sql")
	if err != nil {
		b.t.Fatal(err)
	}
	statements, _, _ := strings.Cut(string(up), "-- +goose Down")
	tx, err := b.pool.Begin(ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	const make = `DO $$ BEGIN
		IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'inventory_app') THEN CREATE ROLE inventory_app; END IF;
	END $$`
	// The stack that makes the role gives it everything on every table to come.
	const generous = `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO inventory_app`
	for _, sql := range []string{make, generous, statements} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			b.t.Fatal(fmt.Errorf("%w in %s", err, sql))
		}
	}
	rows, err := tx.Query(ctx, `
		SELECT table_name, string_agg(privilege_type, ' ' ORDER BY privilege_type)
		FROM information_schema.role_table_grants WHERE grantee = 'inventory_app' GROUP BY 1`)
	if err != nil {
		b.t.Fatal(err)
	}
	grants := map[string]string{}
	var table, list string
	if _, err := pgx.ForEachRow(rows, []any{&table, &list}, func() error {
		grants[table] = list
		return nil
	}); err != nil {
		b.t.Fatal(err)
	}
	return grants
}
