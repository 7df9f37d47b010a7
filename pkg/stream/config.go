package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/metric"

	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/message"
)

// Record is one message of a batch with its place in the log.
type Record struct {
	message.Message

	// Partition and Offset are where the record was first read, with the topic
	// in Message.Topic: a record that comes back from the retry topic keeps the
	// place that it had in its source topic.
	Partition int32
	Offset    int64
	// Timestamp is when the broker or the producer wrote the record.
	Timestamp time.Time
	// Attempt counts from 1. It rises with every delayed retry, not with the
	// retries in place. A takeover of the partition starts again from the count
	// at which the record was set aside.
	Attempt int

	raw    *kgo.Record // as polled: from the source or from the retry topic
	lane   *lane
	held   *held  // nil for a record of the source topic
	unfit  error  // why no handler may see it, or see it again
	reason string // what goes with unfit
}

// Handler does the work of a batch, in one transaction, and returns after its
// commit. Records of one partition come in the order of the log, and so records
// of one key too. It must be idempotent: any batch may come again, whole or in
// parts. It neither retries nor commits offsets, and it keeps neither the slice
// nor the records after it has returned.
//
// What an error means is said in the package comment.
type Handler func(ctx context.Context, batch []Record) error

// Config says what a Consumer reads and how patient it is. Fields with a
// default may be left zero.
type Config struct {
	// Kafka has the brokers, and how patient the consumer is with them and with
	// faulty records.
	Kafka kafka.Settings
	// Group is the consumer group. Its members must all read the same topics.
	Group string
	// Topics to read. Each gets a retry topic and a DLQ topic of the group's own.
	Topics []string
	// Handler of the batches.
	Handler Handler

	// MaxBatch caps the records of a batch. Default 512.
	MaxBatch int
	// HandlerTimeout ends the context of one call. It must leave room for a call
	// or two within the group's rebalance timeout (60 s). Default 15 s.
	HandlerTimeout time.Duration
	// DrainTimeout is how long the last batch may go on after Run's context has
	// ended. Default 10 s.
	DrainTimeout time.Duration

	// Transient claims errors of the batch or of a dependency (deadlock, lost
	// connection, deadline). What it claims is never charged to a record, not
	// even inside a Reject. Unknown errors count as transient too.
	Transient func(error) bool
	// RecordFault claims errors that one record of the batch must have caused.
	RecordFault func(error) bool

	// InPlace is how many times a batch is tried for a transient error before the
	// consumer counts as paused. Default 4.
	InPlace int
	// MaxHeld caps the records per partition that wait in memory for their next
	// attempt; more stay in the retry topic. Default 1024.
	MaxHeld int
	// Pause, when it returns true, stops the taking of new records: the
	// handler's own backpressure. It is asked before every poll.
	Pause func() bool
	// Logger for what a person should know. Required.
	Logger *slog.Logger
	// Meter of the consumer's metrics. Default: the global provider's.
	Meter metric.Meter
}

func (c *Config) validate() error {
	errs := []error{c.Kafka.Validate()}
	require := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	require(c.Group != "", "group is empty")
	require(len(c.Topics) > 0, "no topics")
	require(c.Handler != nil, "handler is nil")
	require(c.Logger != nil, "logger is nil")
	return errors.Join(errs...)
}

func (c *Config) setDefaults() {
	setDefault(&c.MaxBatch, 512)
	setDefault(&c.HandlerTimeout, 15*time.Second)
	setDefault(&c.DrainTimeout, 10*time.Second)
	setDefault(&c.InPlace, 4)
	setDefault(&c.MaxHeld, 1024)
	never := func(error) bool { return false }
	if c.Transient == nil {
		c.Transient = never
	}
	if c.RecordFault == nil {
		c.RecordFault = never
	}
	if c.Pause == nil {
		c.Pause = func() bool { return false }
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
