package postgres

import (
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
