package postgres_test

import (
	"io/fs"
	"strings"
	"testing"

	"example.com/ballast/pkg/lease"
	"example.com/ballast/pkg/outbox"
	"example.com/ballast/services/payments/internal/postgres"
)

// TestSharedSchema: outbox and lease work on tables that this service creates.
func TestSharedSchema(t *testing.T) {
	t.Parallel()
	migration, err := fs.ReadFile(postgres.Migrations(), "00003_create_outbox_and_lease.sql")
	if err != nil {
		t.Fatal(err)
	}
	for name, schema := range map[string]string{"outbox": outbox.Schema, "lease": lease.Schema} {
		if !strings.Contains(string(migration), schema) {
			t.Errorf("the migration does not contain the schema of pkg/%s verbatim", name)
		}
	}
}
