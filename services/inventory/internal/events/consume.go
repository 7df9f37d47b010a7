package events

import (
	"context"
	"errors"
	"time"

	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/stream"
	"example.com/ballast/services/inventory/internal/stock"
)

// Group is the consumer group of inventory.
const Group = "inventory"

// Needs is what inventory does at Kafka.
func Needs() kafka.Needs {
	return kafka.Needs{
		Writes: []string{EventsTopic, ProductsTopic}, Consumes: map[string][]string{Group: {CommandsTopic}},
		Follows: []string{ProductsTopic},
	}
}

// Topics are those that inventory reads and writes, as it would create them.
func Topics(partitions int32, replication int16) []kafka.Topic {
	topic := func(name string, config map[string]string) kafka.Topic {
		return kafka.Topic{Name: name, Partitions: partitions, Replication: replication, Config: config}
	}
	return []kafka.Topic{
		topic(CommandsTopic, nil), topic(EventsTopic, nil), topic(ProductsTopic, map[string]string{"cleanup.policy": "compact"}),
	}
}

// Apply decides commands and stores what came of them together with the
// messages that announce makes of the answers.
type Apply func(ctx context.Context, commands []stock.Command, announce func([]stock.Answer) ([]message.Message, error)) error

// Handler handles batches of inventory.commands. It is idempotent because the
// domain is: commands that were decided are answered again.
type Handler struct {
	apply Apply
	now   func() time.Time
}

// NewHandler returns a Handler.
func NewHandler(apply Apply, now func() time.Time) *Handler {
	return &Handler{apply: apply, now: now}
}

// HandleBatch decides a batch in one transaction. Messages that can never be
// handled are rejected, all of them at once.
func (h *Handler) HandleBatch(ctx context.Context, batch []stream.Record) error {
	commands := make([]stock.Command, len(batch))
	var rejected []error
	for i, r := range batch {
		var err error
		if commands[i], err = decode(r.Message); err != nil {
			rejected = append(rejected, stream.Reject(i, err))
		}
	}
	if len(rejected) > 0 {
		return errors.Join(rejected...)
	}
	return h.apply(ctx, commands, func(answers []stock.Answer) ([]message.Message, error) {
		now := h.now()
		msgs := make([]message.Message, len(answers))
		for i, a := range answers {
			var err error
			if msgs[i], err = encode(a, batch[i].TraceParent, now); err != nil {
				return nil, err
			}
		}
		return msgs, nil
	})
}
