package stream

import (
	"time"

	"go.opentelemetry.io/otel/metric"
)

// lane is a source partition with its retry partition: what has been read of
// both, and which keys are parked. It belongs to the loop while a rebalance is
// blocked, and to the rebalance callbacks otherwise.
type lane struct {
	topic, retry string
	partition    int32

	next      int64 // source offset after the last record polled, -1 before the first
	epoch     int32 // leader epoch of that record
	committed int64

	retryNext      int64 // retry offset after the last record polled
	retryCommitted int64
	openAt         int64 // the source is closed until retryNext has reached it
	closed         bool
	full           bool // the retry partition is paused: too much is held

	held []*held         // unfinished records of the retry topic, in offset order
	keys map[string]*key // parked keys: those with a record in the retry topic

	revoked bool

	attrs []metric.RecordOption
}

// key is the state of a parked key.
type key struct {
	last int64     // highest retry offset known: when that is finished, nothing is left
	due  time.Time // not before
}

// held is a record of the retry topic that waits in memory for its next attempt.
type held struct {
	record Record
	key    *key
	done   bool
}

// parks reports whether a source record must queue up behind others of its key.
func (l *lane) parks(recordKey []byte) bool {
	if len(l.keys) == 0 || recordKey == nil {
		return false
	}
	_, ok := l.keys[string(recordKey)]
	return ok
}

// park notes that the retry topic has a record of the key at offset. Records
// without a key have no order, so each is on its own.
func (l *lane) park(recordKey []byte, offset int64, due time.Time) *key {
	k := l.keys[string(recordKey)]
	if k == nil || recordKey == nil {
		k = &key{}
		if recordKey != nil {
			l.keys[string(recordKey)] = k
		}
	}
	k.last = max(k.last, offset)
	if due.After(k.due) {
		k.due = due
	}
	return k
}

// hold takes a record that was polled from the retry topic.
func (l *lane) hold(r Record, due time.Time) {
	h := &held{record: r, key: l.park(r.raw.Key, r.raw.Offset, due)}
	h.record.held = h
	l.held = append(l.held, h)
}

// finish ends a held record and forgets all at the front that have ended: what
// is left there is where the retry partition's committed offset stays.
func (l *lane) finish(h *held) {
	h.done = true
	h.key.due = time.Time{}
	if k := h.record.raw.Key; k != nil && h.key.last == h.record.raw.Offset {
		delete(l.keys, string(k))
	}
	for len(l.held) > 0 && l.held[0].done {
		l.held[0] = nil
		l.held = l.held[1:]
	}
}

// retryDone is the offset up to which the retry partition is finished.
func (l *lane) retryDone() int64 {
	if len(l.held) > 0 {
		return l.held[0].record.raw.Offset
	}
	return l.retryNext
}

// due appends the held records whose time has come, up to limit of them, in
// offset order. A key waits as a whole: its later records never overtake.
func (l *lane) due(batch []Record, now time.Time, limit int) []Record {
	for _, h := range l.held {
		if len(batch) >= limit {
			break
		}
		if !h.done && !h.key.due.After(now) {
			batch = append(batch, h.record)
		}
	}
	return batch
}

// wake is the moment when the next held record is due, or zero.
func (l *lane) wake() (at time.Time, ok bool) {
	for _, h := range l.held {
		if !h.done && (!ok || h.key.due.Before(at)) {
			at, ok = h.key.due, true
		}
	}
	return at, ok
}
