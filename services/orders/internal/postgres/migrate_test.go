package postgres_test

import (
	"io/fs"
	"strings"
	"testing"

	"example.com/ballast/services/orders/internal/postgres"
)

// An order of a release that kept keys as they were sent is found by the hash of
// its key, which is the one that rpc's tests expect of the same customer and key.
func TestKeysOfEarlierOrdersAreHashed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	earlier := b.place(t, placement("17850", "k1"))
	migrations := postgres.Migrations()
	migration, err := fs.ReadFile(migrations, "00008_hash_keys.sql")
	if err != nil {
		t.Fatal(err)
	}
	up, _, _ := strings.Cut(string(migration), "-- +goose Down")
	if _, err := b.pool.Exec(t.Context(), up); err != nil {
		t.Fatal(err)
	}
	again := b.place(t, placement("17850", "m-hHOslR4ce3thtwQM7RgYe2Yp7x-ufpjP6MQcN2QOs"))
	if again.ID != earlier.ID {
		t.Errorf("the retry of order %s has made order %s", earlier.ID, again.ID)
	}
}
