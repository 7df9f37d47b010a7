// Package stream consumes Kafka topics in batches: one loop takes a whole poll,
// across its partitions, to one handler call in one transaction. Parallelism
// comes from more members of the group.
//
//	poll -> decode -> handler (its commit) -> commit offsets -> allow rebalance
//	           |          |
//	           |          +-- transient, unknown, breaker open: the batch again, nothing else is taken
//	           |          +-- Reject: that record to <topic>.<group>.dlq, the others again
//	           |          +-- panic, record fault: bisect to the record,
//	           |                 then <topic>.<group>.retry, in the end the DLQ
//	           +-- malformed, oversize: DLQ
//
// # Errors of a handler
//
//   - Transient (Config.Transient, context errors, and all that nobody claims):
//     the whole batch is tried again with exponential backoff and full jitter,
//     for as long as it takes. After Config.InPlace tries, or at once when a
//     breaker is open (resilience.ErrOpen), the consumer counts as paused; the
//     batch is then what probes. It never bisects, never dead-letters, goes on
//     heartbeating, and lets rebalances through between tries.
//   - Reject: the record can never succeed. It is dead-lettered at once and the
//     others are handled again without it.
//   - A panic, or an error that Config.RecordFault claims: the batch is bisected
//     at once, in the order of the log, so that its good records wait for no
//     pause. The record that fails alone gets another attempt after each of the
//     retry delays, then goes to the DLQ.
//
// # Invariants
//
//   - An offset is committed only after every record below it was handled, or
//     was acknowledged by the brokers in the retry topic or the DLQ.
//   - Records of one key are handled in the order of the log. While one waits
//     for its next attempt, the later ones of its key are parked behind it in
//     the retry topic. A record in the DLQ holds up nothing.
//   - Who owns a source partition owns the same partition of its retry topic,
//     and reads the latter to its end before it takes anything of the former:
//     so it knows all parked keys.
//   - A rebalance happens only between batches. What was revoked meanwhile is
//     dropped from a batch that waits, and is the next owner's.
//   - Key, value and headers of a set-aside record stay as they were; what is
//     to be said about it is said in additional headers.
//   - More faulty records than are allowed in a minute stop the consumer until
//     the handler succeeds again: then it is the code that is at fault. Malformed
//     and oversize ones, and those rejected from among others that succeed, only
//     slow it down: they go to the DLQ at the rate that is allowed, and the good
//     records of their batch don't wait for that.
//   - When Run's context ends, nothing more is taken, the batch in hand has
//     Config.DrainTimeout to finish, and its offsets are committed.
//
// Delivery is at least once: after a crash, a lost commit or a takeover, records
// come again. Their effects must be idempotent by the aggregate's own state.
package stream
