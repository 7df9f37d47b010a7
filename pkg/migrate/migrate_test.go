package migrate_test

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/config"
	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/migrate"
	"example.com/ballast/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// TestRun: the first run makes the schema, the service's topics and those of its
// group; the second finds all of it and changes nothing.
func TestRun(t *testing.T) {
	t.Parallel()
	commands, events, group := testkit.Unique(t, "commands"), testkit.Unique(t, "events"), testkit.Unique(t, "group")
	settings := migrate.Settings{
		URL: config.Secret(testkit.PostgresURL(t, nil)),
		Kafka: kafka.Settings{
			Brokers: testkit.Kafka(t), Partitions: 2, Replication: 1, SessionTimeout: 6 * time.Second, MaxFaultsPerMinute: 1, MaxRecordBytes: 1,
		},
	}
	job := migrate.Job{
		Service:    "things",
		Migrations: fstest.MapFS{"00001_make_things.sql": {Data: []byte("-- +goose Up\ncreate table things (n int);")}},
		Topics: func(partitions int32, replication int16) []kafka.Topic {
			return []kafka.Topic{
				{Name: commands, Partitions: partitions, Replication: replication}, {Name: events, Partitions: partitions, Replication: replication},
			}
		},
		Needs: kafka.Needs{Writes: []string{events}, Consumes: map[string][]string{group: {commands}}},
	}
	all := []string{commands, kafka.DLQTopic(commands, group), kafka.RetryTopic(commands, group), events}
	run := func() (said string) {
		t.Helper()
		var log bytes.Buffer
		if err := job.Do(t.Context(), settings, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
			t.Fatal(err)
		}
		return log.String()
	}
	first := run()
	for _, want := range append(slices.Clone(all), "00001_make_things.sql") {
		if !strings.Contains(first, want) {
			t.Errorf("the first run does not tell of %s:\n%s", want, first)
		}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(settings.Kafka.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	have, err := kadm.NewClient(client).ListTopics(t.Context(), all...)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		if got := len(have[name].Partitions); got != 2 {
			t.Errorf("%s has %d partitions, want 2", name, got)
		}
	}
	if second := run(); strings.Contains(second, "made") || strings.Contains(second, "migrated") || !strings.Contains(second, "up to date") {
		t.Errorf("the second run did something:\n%s", second)
	}
}
