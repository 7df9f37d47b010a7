package testkit_test

import (
	"testing"
	"testing/fstest"

	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestPostgresGivesEachTestItsOwnMigratedDatabase(t *testing.T) {
	t.Parallel()
	migrations := fstest.MapFS{"00001_t.sql": {Data: []byte("-- +goose Up\ncreate table t (n int);")}}
	for _, name := range []string{"one", "two"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := testkit.Postgres(t, migrations)
			if _, err := pool.Exec(t.Context(), "insert into t values (1)"); err != nil {
				t.Fatal(err)
			}
			var n int
			if err := pool.QueryRow(t.Context(), "select count(*) from t").Scan(&n); err != nil || n != 1 {
				t.Fatalf("rows: %d, %v; want 1", n, err)
			}
		})
	}
}

func TestRedisAnswers(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: testkit.Redis(t)})
	t.Cleanup(func() { _ = client.Close() })
	if err := client.Set(t.Context(), testkit.Unique(t, "key"), "value", 0).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestKafkaAnswers(t *testing.T) {
	t.Parallel()
	client, err := kgo.NewClient(kgo.SeedBrokers(testkit.Kafka(t)...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if err := client.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
}
