package postgres

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/ballast/pkg/lease"
	"example.com/ballast/pkg/outbox"
	"example.com/ballast/pkg/testkit"
	"example.com/ballast/services/orders/internal/order"
)

// Every statement fits the migrated schema.
func TestStatementsPrepare(t *testing.T) {
	t.Parallel()
	migrations := Migrations()
	conn, err := testkit.Postgres(t, migrations).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for name, sql := range map[string]string{
		"lockOrders": lockOrders, "updateOrders": updateOrders, "insertEvents": insertEvents, "selectStates": selectStates,
		"selectByKey": selectByKey, "selectProducts": selectProducts, "insertOrders": insertOrders, "insertRecipients": insertRecipients,
		"selectView": selectView, "selectHistory": selectHistory, "countUnfinished": countUnfinished,
		"everybody's page": pageQuery(order.Filter{}), "page of an operator": pageQuery(order.Filter{Status: order.NeedsOperator}),
		"page of a customer": pageQuery(order.Filter{Customer: "c", Status: order.Placed}),
		"upsertProducts":     upsertProducts, "claimOverdue": claimOverdue, "selectOverdue": selectOverdue, "selectFirstEvents": selectFirstEvents,
	} {
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
	migrations := Migrations()
	for file, schema := range map[string]string{
		"00002_create_outbox.sql": outbox.Schema, "00003_create_lease.sql": lease.Schema,
		"00005_decide_outbox_dead.sql": outbox.DeadSchema,
	} {
		text, err := fs.ReadFile(migrations, file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), strings.TrimSpace(schema)) {
			t.Errorf("%s does not contain its package's schema", file)
		}
	}
}
