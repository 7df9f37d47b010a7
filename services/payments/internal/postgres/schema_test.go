package postgres_test

import (
	"io/fs"
	"strings"
	"testing"

	"example.com/ballast/pkg/inbox"
	"example.com/ballast/pkg/lease"
	"example.com/ballast/pkg/outbox"
	"example.com/ballast/services/payments/internal/postgres"
)

// TestSharedSchema: outbox, lease and inbox work on tables that this service creates.
func TestSharedSchema(t *testing.T) {
	t.Parallel()
	for file, schemas := range map[string][]string{
		"00003_create_outbox_and_lease.sql": {outbox.Schema, lease.Schema},
		"00005_decide_outbox_dead.sql":      {outbox.DeadSchema},
		"00006_create_inbox.sql":            {inbox.Schema},
	} {
		migration, err := fs.ReadFile(postgres.Migrations(), file)
		if err != nil {
			t.Fatal(err)
		}
		for _, schema := range schemas {
			if !strings.Contains(string(migration), schema) {
				t.Errorf("%s does not contain its package's schema verbatim: %s", file, schema)
			}
		}
	}
}
