package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// probeEvery is how often a topic in trouble is tried again. In between its
// messages wait, so that the client's patience with unknown topics does not
// slow down every turn.
const probeEvery = 2 * time.Second

// trouble is a topic that does not take records.
type trouble struct {
	since, tried time.Time
	err          error
}

var (
	errNotTried = errors.New("waiting for an earlier message")
	errNoAnswer = errors.New("kafka did not acknowledge before the lease's end")
)

// publish produces all items pipelined and waits for all answers. An error says
// that nothing is known about any of them. It does not happen before ctx ends:
// the client tries for ever, which keeps the order without repetitions.
func (t *term) publish(ctx context.Context, items []item) error {
	// The answers have a memory of their own: after a return without all of
	// them, late ones are still written.
	answers := make([]error, len(items))
	done := make(chan struct{})
	var open atomic.Int64
	open.Store(1) // Until all are under way.
	answered := func() {
		if open.Add(-1) == 0 {
			close(done)
		}
	}
	for i := range items {
		it := &items[i]
		record := it.msg.Record()
		if t.withhold(it, record) {
			answers[i] = it.err
			continue
		}
		open.Add(1)
		span := t.sending(ctx, it)
		t.Client.Produce(ctx, record, func(r *kgo.Record, err error) {
			sent(span, r, err)
			answers[i] = err
			answered()
		})
	}
	answered()
	if err := t.acknowledged(ctx, done, answers); err != nil {
		return err
	}
	for i := range items {
		items[i].err = answers[i]
	}
	return nil
}

// publishAlone produces one item at a time, so that a refusal is certainly about
// that item, and stops at the first that may succeed later.
func (t *term) publishAlone(ctx context.Context, items []item) error {
	for i := range items {
		if err := t.publish(ctx, items[i:i+1]); err != nil {
			return err
		}
		if err := items[i].err; err != nil && !recordFault(err) {
			for j := i + 1; j < len(items); j++ {
				items[j].err = errNotTried
			}
			return nil
		}
	}
	return nil
}

// withhold decides, before anything is sent, about items that need no try.
func (t *term) withhold(it *item, record *kgo.Record) bool {
	if it.reason != "" {
		return true
	}
	// The client would refuse it, too, but after later ones were under way.
	if size := wireSize(record); size > t.maxBytes {
		it.reason = fmt.Sprintf("too large: about %d bytes, and the limit is %d", size, t.maxBytes)
		return true
	}
	if tr := t.topics[it.msg.Topic]; tr != nil && time.Since(tr.tried) < probeEvery {
		it.err, it.withheld = tr.err, true
		return true
	}
	return false
}

// wireSize estimates a record batch with this message alone, from above.
func wireSize(r *kgo.Record) int {
	const batchHeader, recordHeader, headerLengths = 61, 36, 10
	size := batchHeader + recordHeader + len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		size += len(h.Key) + len(h.Value) + headerLengths
	}
	return size
}

// judge decides which failures are final.
func (t *term) judge(it *item, id int64, alone bool) {
	now := time.Now()
	switch {
	case it.reason != "":
	case it.err == nil:
		delete(t.topics, it.msg.Topic)
	case topicFault(it.err):
		tr := t.topics[it.msg.Topic]
		if tr == nil {
			tr = &trouble{since: now}
			t.topics[it.msg.Topic] = tr
		}
		if it.withheld {
			break
		}
		tr.tried, tr.err = now, it.err
		if now.Sub(tr.since) >= t.TopicPatience {
			it.reason = fmt.Sprintf("topic %s does not take records since %s: %v", it.msg.Topic, tr.since.UTC().Format(time.RFC3339), it.err)
		}
	case recordFault(it.err):
		if alone {
			it.reason = "refused by the broker: " + it.err.Error()
		} else {
			t.alone = id // The last of them: ids rise within a turn.
		}
	}
}
