package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/trace"

	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/telemetry"
)

// Reasons for which a record leaves the normal path: Origin.Reason, and a label
// of the metrics.
const (
	ReasonMalformed = "malformed" // its headers are no message: DLQ
	ReasonOversize  = "oversize"  // its value is larger than MaxRecordBytes: DLQ
	ReasonRejected  = "rejected"  // the handler's Reject: DLQ
	ReasonFault     = "fault"     // panic or record fault: retry, or DLQ after the last attempt
	ReasonParked    = "parked"    // behind an earlier record of its key: retry
)

// letter is a record that is given up, and why.
type letter struct {
	record *Record
	reason string
	cause  error
}

// deadLetter puts records into the DLQ, in one go, because the others of their
// batch wait for it: as many as are allowed. The others wait for their turn and
// hold up none of their batch. With an error, it is as if none were written.
func (c *Consumer) deadLetter(ctx context.Context, letters ...letter) error {
	allowed := 0
	for allowed < len(letters) && c.faults.allows(&letters[allowed], time.Now()) {
		allowed++
	}
	dead, origins, spans := make([]*kgo.Record, allowed), make([]Origin, allowed), make([]trace.Span, allowed)
	for i, l := range letters[:allowed] {
		dead[i], origins[i] = c.copyOf(l.record, l.reason, l.cause)
		dead[i].Topic = kafka.DLQTopic(origins[i].Topic, c.cfg.Group)
		cut(dead[i], &origins[i])
		dead[i].Headers = origins[i].appendTo(dead[i].Headers)
		spans[i] = c.sendSpan(ctx, l.record, dead[i].Topic, l.reason)
	}
	err := c.produce(ctx, dead...)
	for i, l := range letters[:allowed] {
		endSend(spans[i], dead[i], cmp.Or(err, l.cause))
	}
	if err != nil {
		return fmt.Errorf("dead-letter: %w", err)
	}
	for i, l := range letters[:allowed] {
		if l.record.held != nil {
			l.record.lane.finish(l.record.held)
		}
		o := &origins[i]
		c.metrics.count(ctx, c.metrics.deadLetters, o.Topic, l.reason)
		c.log.ErrorContext(l.record.within(ctx), "record dead-lettered", "dlq", dead[i].Topic, "reason", l.reason, "error", l.cause,
			"message_id", l.record.ID, "message_key", string(dead[i].Key), "partition", o.Partition, "offset", o.Offset, "attempts", o.Attempts)
	}
	if allowed < len(letters) {
		c.hindrance = letters[allowed].flood()
		c.waiting = append(c.waiting, letters[allowed:]...)
	}
	return nil
}

// leave makes pending what is left of it: the rest and the letters that wait. As
// long as the handler accepts nothing, the next deploy may accept what it has
// rejected, so it is asked again. When it has accepted others it is sound, and
// later records of the same keys have gone ahead: then a rejection is final.
func (c *Consumer) leave(rest []Record, accepted bool) {
	if len(c.waiting) == 0 {
		c.pending = rest
		return
	}
	left := make(map[*kgo.Record]*letter, len(rest)+len(c.waiting))
	for i := range rest {
		left[rest[i].raw] = nil
	}
	for i := range c.waiting {
		left[c.waiting[i].record.raw] = &c.waiting[i]
	}
	var pending []Record
	for _, r := range c.pending {
		l, ok := left[r.raw]
		if !ok {
			continue
		}
		if l != nil && (accepted || r.held == nil && r.lane.parks(r.raw.Key)) {
			r.unfit, r.reason = l.cause, l.reason
		}
		pending = append(pending, r)
	}
	c.pending, c.waiting = pending, nil
}

// cut takes from a dead letter what no batch has room for, and says where it is
// to be found. Its source topic took it packed; unpacked it may be of any size,
// and a letter that can't be written would hold up its partition for ever.
func cut(dead *kgo.Record, o *Origin) {
	size := len(dead.Key) + len(dead.Value)
	for _, h := range dead.Headers {
		size += len(h.Key) + len(h.Value)
	}
	if size <= maxLetterBytes {
		return
	}
	o.Message = fmt.Sprintf("%d bytes are left out, they are at %s/%d/%d: %s", size, o.Topic, o.Partition, o.Offset, o.Message)
	size -= len(dead.Value)
	if dead.Value = nil; size > maxLetterBytes {
		dead.Key, dead.Headers = nil, nil
	}
}

// without returns the batch without the records that have become letters. Both
// are in the same order.
func without(batch []Record, letters []letter) []Record {
	rest := make([]Record, 0, len(batch))
	for i := range batch {
		if len(letters) > 0 && letters[0].record == &batch[i] {
			letters = letters[1:]
			continue
		}
		rest = append(rest, batch[i])
	}
	return rest
}

// setAside ends an attempt at a faulty record: it gets another one later, or
// the DLQ after the last.
func (c *Consumer) setAside(ctx context.Context, r *Record, cause error) error {
	if r.Attempt > len(c.cfg.Kafka.RetryDelays) {
		return c.deadLetter(ctx, letter{r, ReasonFault, cause})
	}
	due := time.Now().Add(c.cfg.Kafka.RetryDelays[r.Attempt-1])
	if h := r.held; h != nil {
		// It is at the head of its key in the retry topic already. Sending it to
		// the end would put it behind its followers, so it waits where it is.
		h.record.Attempt++
		h.key.due = due
		c.metrics.count(ctx, c.metrics.setAsides, r.lane.topic, ReasonFault)
	} else {
		if !c.faults.take(time.Now()) {
			return errFlood
		}
		if err := c.park(ctx, ReasonFault, cause, due, r); err != nil {
			return err
		}
	}
	var p *panicked
	if errors.As(cause, &p) && r.Attempt == 1 {
		c.log.ErrorContext(ctx, "handler panicked", "panic", telemetry.PanicText(p.value), "stack", string(p.stack))
	}
	c.log.WarnContext(r.within(ctx), "record set aside", "error", cause, "message_id", r.ID, "message_key", string(r.raw.Key),
		"topic", r.lane.topic, "partition", r.Partition, "offset", r.Offset, "attempt", r.Attempt, "due", due)
	return nil
}

// park sends source records to their retry topic. From the acknowledgement on,
// later records of their keys follow them there.
func (c *Consumer) park(ctx context.Context, reason string, cause error, due time.Time, records ...*Record) error {
	parked, spans := make([]*kgo.Record, len(records)), make([]trace.Span, len(records))
	for i, r := range records {
		var o Origin
		parked[i], o = c.copyOf(r, reason, cause)
		parked[i].Topic, o.NotBefore = r.lane.retry, due
		parked[i].Headers = o.appendTo(parked[i].Headers)
		spans[i] = c.sendSpan(ctx, r, r.lane.retry, reason)
	}
	err := c.produce(ctx, parked...)
	for i, span := range spans {
		endSend(span, parked[i], err)
	}
	if err != nil {
		return fmt.Errorf("park in retry topic: %w", err)
	}
	for i, r := range records {
		r.lane.park(parked[i].Key, parked[i].Offset, due)
		c.metrics.count(ctx, c.metrics.setAsides, r.lane.topic, reason)
	}
	return nil
}

// produce returns when the brokers have all records. Failing, it may have
// written some: then they are written again with the next try.
func (c *Consumer) produce(ctx context.Context, records ...*kgo.Record) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.HandlerTimeout)
	defer cancel()
	return c.client.ProduceSync(ctx, records...).FirstErr() //nolint:wrapcheck // The callers say what it was for.
}

// copyOf copies key, value, partition and the original headers of r, and says
// where r came from.
func (c *Consumer) copyOf(r *Record, reason string, cause error) (*kgo.Record, Origin) {
	headers, o, _ := r.raw.Headers, Origin{}, false
	if r.held != nil {
		headers, o, _ = splitOrigin(headers)
	}
	o.Topic, o.Partition, o.Offset, o.Timestamp = r.lane.topic, r.Partition, r.Offset, r.Timestamp
	o.Group, o.Reason, o.NotBefore = c.cfg.Group, reason, time.Time{}
	if cause != nil {
		o.Message, o.Attempts = telemetry.ErrorText(cause), r.Attempt
		if o.FirstFailed.IsZero() {
			o.FirstFailed = time.Now()
		}
	}
	return &kgo.Record{Key: r.raw.Key, Value: r.raw.Value, Headers: headers, Partition: r.lane.partition}, o
}
