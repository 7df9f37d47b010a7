// Package outbox publishes messages to Kafka exactly if the transaction that
// queued them commits: at least once, and in order within a key.
//
// A transaction updates its aggregate first and queues its messages after; then
// ids rise within an aggregate in the order of its commits. After the commit it
// calls Relay.Signal. One relay per database, elected by a lease, takes rows
// through select -> produce -> delete. Its invariants:
//
//   - A row is deleted only after the broker acknowledged all of its messages.
//     A failed produce means "unknown": the row stays and is produced again.
//   - There is no cursor. Transactions commit out of the order of their ids, so
//     a row may appear below those already published. The relay remembers a
//     lower bound and the gaps below it to avoid reading dead rows, looks at
//     the gaps at every turn, and looks below the bound again every second.
//   - A message counts as published only when no earlier one of its topic and
//     key failed in the same turn. After a failure the turn ends, and
//     everything from the first failed row on is selected again; so the log
//     ends with the key's messages in order, repetitions aside.
//   - Producing ends before the lease does. A relay that was paused and comes
//     back repeats old messages at worst: consumers check versions.
//   - While Kafka does not acknowledge, a breaker opens and nothing new is handed
//     to the client. Rows go on being queued; how many is the service's to cap.
//   - A message that can never be published moves to outbox_dead with its
//     reason, behind the lease's fence; the others go on.
package outbox

import (
	"context"
	_ "embed"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/message"
)

// Schema is what a service's migration must contain, verbatim, beside
// lease.Schema.
//
//go:embed schema.sql
var Schema string

// Queue adds the messages to a pipelined batch, which must run in the
// transaction of the change that they tell of, and after it. Without messages
// it adds nothing. Each carries the trace of what caused it: see created.
func Queue(ctx context.Context, b *pgx.Batch, msgs []message.Message) {
	if len(msgs) == 0 {
		return
	}
	b.Queue(`insert into outbox (messages) values ($1)`, message.AppendPacked(nil, created(ctx, msgs)))
}

// ProducerOptions are what the relay's Kafka client needs beside brokers and
// client id. The relay batches by itself, so the client must not linger.
func ProducerOptions() []kgo.Opt {
	return []kgo.Opt{
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(0),
		// The default of 5 s would be the outage that a broker's restart causes.
		kgo.MetadataMinAge(250 * time.Millisecond),
	}
}
