// Package migrate is the job that completes before a service starts: it brings the
// schema of the service's database up to date and makes the service's topics, as users
// that may do what the service itself may not.
package migrate

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/config"
	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/stream"
)

// patience bounds the whole job, the waiting for servers that have just been started
// included. By judgement: schemas here take milliseconds.
const patience = 2 * time.Minute

// Job says what a service needs to be there.
type Job struct {
	// Service is its name.
	Service string
	// Migrations of its database.
	Migrations fs.FS
	// Topics returns those that it reads and writes.
	Topics func(partitions int32, replication int16) []kafka.Topic
	// Needs has its groups, to which retry and DLQ topics belong.
	Needs kafka.Needs
}

// Settings are the environment variables of the job.
type Settings struct {
	// URL is the service's database, by the role that owns it.
	URL config.Secret `env:"POSTGRES_MIGRATION_URL,required,notEmpty"`
	// Kafka has the brokers, how topics are made, and a user that may make them.
	Kafka kafka.Settings
}

// Validate joins everything that is wrong.
func (s Settings) Validate() error { return s.Kafka.Validate() }

// Run is the command migrate of the service's binary.
func (j Job) Run(ctx context.Context, s Settings) error {
	return j.Do(ctx, s, slog.New(slog.NewTextHandler(os.Stdout, nil)))
}

// Do prepares the servers and logs what it did. Servers that are away are waited for.
// It can be repeated, and then changes nothing.
func (j Job) Do(ctx context.Context, s Settings, logger *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := pg.Migrate(ctx, string(s.URL), j.Migrations, logger); err != nil {
		return fmt.Errorf("POSTGRES_MIGRATION_URL: %w", err)
	}
	client, err := kgo.NewClient(append(s.Kafka.Options(j.Service+"-migrate"), kgo.WithLogger(kafka.Logger(logger)))...)
	if err != nil {
		return fmt.Errorf("KAFKA_BROKERS: %w", err)
	}
	defer client.Close()
	if err := ensure(ctx, client, j.Topics(s.Kafka.Partitions, s.Kafka.Replication), logger); err != nil {
		return err
	}
	for _, group := range j.Needs.Groups() {
		own, err := stream.OwnTopics(ctx, client, group, j.Needs.Consumes[group], s.Kafka.Replication)
		if err == nil {
			err = ensure(ctx, client, own, logger)
		}
		if err != nil {
			return fmt.Errorf("topics of group %s: %w", group, err)
		}
	}
	return nil
}

// ensure makes topics and says which it made or grew, and when there was nothing to do.
func ensure(ctx context.Context, client *kgo.Client, topics []kafka.Topic, logger *slog.Logger) error {
	changes := 0
	err := kafka.EnsureTopicsTelling(ctx, client, topics, func(t kafka.Topic, made bool) {
		said := "topic grown"
		if made {
			said = "topic made"
		}
		changes++
		logger.InfoContext(ctx, said, "topic", t.Name, "partitions", max(t.Partitions, 1)) //nolint:sloglint // One of two.
	})
	if err == nil && changes == 0 {
		names := make([]string, len(topics))
		for i, t := range topics {
			names[i] = t.Name
		}
		logger.InfoContext(ctx, "the topics are there", "topics", names)
	}
	return err
}
