// Package feed lets every process of a service see what is appended to topics:
// to forget what it has cached, to tell the clients that watch.
//
// It is no stream.Consumer: it has no group and commits nothing, so every process
// gets every record, from the moment at which the feed was opened. What was
// appended while the process was down is never seen, and a record may come twice.
// Who needs each record needs a group.
package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/message"
)

// maxPoll bounds the records that subscribers get at once.
const maxPoll = 1000

// Config says what a Feed reads.
type Config struct {
	// Client has the brokers and the like: kafka.Options. Required.
	Client []kgo.Opt
	// Topics to read; they must exist. Required.
	Topics []string
	// Logger takes what can't be read. Required.
	Logger *slog.Logger
}

// Feed reads topics from their end.
type Feed struct {
	client *kgo.Client
	logger *slog.Logger
	tell   []func(context.Context, []message.Message)
}

// Open finds the ends of the topics, from where Run will read: whatever is
// appended after Open has returned, subscribers get to see. Partitions that are
// added to a topic later are seen from the next start on.
func Open(ctx context.Context, cfg Config) (*Feed, error) {
	client, err := kgo.NewClient(append(cfg.Client, kgo.WithLogger(kafka.Logger(cfg.Logger)))...)
	if err != nil {
		return nil, fmt.Errorf("feed of %v: %w", cfg.Topics, err)
	}
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, cfg.Topics...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		client.Close()
		return nil, fmt.Errorf("feed: ends of %v: %w", cfg.Topics, err)
	}
	client.AddConsumePartitions(ends.KOffsets())
	return &Feed{client: client, logger: cfg.Logger}, nil
}

// Subscribe adds a function that gets every batch of messages, each key's in the
// order of the log. It is called from one goroutine and holds up all subscribers
// while it runs. Subscribe before Run.
func (f *Feed) Subscribe(tell func(context.Context, []message.Message)) {
	f.tell = append(f.tell, tell)
}

// Run reads until ctx ends, then closes the feed. Brokers that are away are
// waited for.
func (f *Feed) Run(ctx context.Context) error {
	defer f.client.Close()
	for {
		fetches := f.client.PollRecords(ctx, maxPoll)
		if ctx.Err() != nil || fetches.IsClientClosed() {
			return nil
		}
		fetches.EachError(func(topic string, partition int32, err error) {
			if !errors.Is(err, context.Canceled) {
				f.logger.WarnContext(ctx, "the feed can't read", "topic", topic, "partition", partition, "error", err)
			}
		})
		var batch []message.Message
		fetches.EachRecord(func(r *kgo.Record) {
			m, err := message.FromRecord(r)
			if err != nil {
				f.logger.WarnContext(ctx, "the feed leaves a record out", "topic", r.Topic, "partition", r.Partition, "offset", r.Offset, "error", err)
				return
			}
			batch = append(batch, m)
		})
		if len(batch) == 0 {
			continue
		}
		for _, tell := range f.tell {
			tell(ctx, batch)
		}
	}
}
