package stream

import (
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/kafka"
)

// Headers that follow a record into the retry topic and the DLQ. The first six
// are Apache Kafka's own (KIP-1191), so that one reader understands the records
// that brokers set aside too; the others are ours under the same prefix. All
// values are UTF-8 text, times are RFC 3339.
const (
	HeaderTopic       = "__dlq.errors.topic"
	HeaderPartition   = "__dlq.errors.partition"
	HeaderOffset      = "__dlq.errors.offset"
	HeaderGroup       = "__dlq.errors.group"
	HeaderDeliveries  = "__dlq.errors.delivery.count"
	HeaderMessage     = "__dlq.errors.message"
	HeaderException   = "__dlq.errors.exception"
	HeaderTimestamp   = "__dlq.errors.timestamp"
	HeaderFirstFailed = "__dlq.errors.first.failed.at"
	HeaderReplays     = "__dlq.errors.replay.count"
	HeaderNotBefore   = "__dlq.errors.not.before"
)

// maxMessage bounds the error text in a header, in bytes.
const maxMessage = 1024

// Origin is where a record of a retry topic or a DLQ came from, and why it was
// set aside. What a header does not say is zero.
type Origin struct {
	// Topic, Partition and Offset are its place in its source topic, Timestamp
	// when it was written there.
	Topic     string
	Partition int32
	Offset    int64
	Timestamp time.Time
	// Group set it aside.
	Group string
	// Reason is one of the Reason constants, or what a broker wrote.
	Reason string
	// Message is the error with its causes, without a stack; at most 1 KiB.
	Message string
	// Attempts made since it was set aside or replayed; 0 for a record that only
	// waits behind its key.
	Attempts int
	// FirstFailed is when its first attempt failed. A replay does not reset it.
	FirstFailed time.Time
	// Replays is how often an operator sent it back from the DLQ.
	Replays int
	// NotBefore is when its next attempt is due, in a retry topic.
	NotBefore time.Time
}

// ReadOrigin reads what was said about a record when it was set aside. It is
// false for one that never was.
func ReadOrigin(r *kgo.Record) (Origin, bool) {
	_, o, ok := splitOrigin(r.Headers)
	return o, ok
}

// Original returns a record of a retry topic or a DLQ as it was in its source
// topic; one that was never set aside stays where it is.
func Original(r *kgo.Record) *kgo.Record {
	headers, o, ok := splitOrigin(r.Headers)
	if !ok {
		o = Origin{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp}
	}
	return &kgo.Record{
		Topic: o.Topic, Partition: o.Partition, Offset: o.Offset, Timestamp: o.Timestamp,
		Key: r.Key, Value: r.Value, Headers: headers,
	}
}

// ReplayRecord returns the record that sends a dead letter of origin o back to
// the group that gave it up: to its retry topic, due at once, with all its
// attempts ahead of it. Records of its key that wait there already stay in
// front. Its producer needs ReplayOptions.
//
// The count of replays goes up, and stays with the record whatever becomes of
// it: a loop guard reads it in the next dead letter.
func ReplayRecord(dead *kgo.Record, o Origin) *kgo.Record {
	headers, _, _ := splitOrigin(dead.Headers)
	o.Attempts, o.NotBefore = 0, time.Time{}
	o.Replays++
	return &kgo.Record{
		Topic: kafka.RetryTopic(o.Topic, o.Group), Partition: o.Partition,
		Key: dead.Key, Value: dead.Value, Headers: o.appendTo(headers),
	}
}

// ReplayOptions are the options of a producer of set-aside records: each stays in
// the partition of its own number, whose owner alone knows which keys are parked,
// and must fit although it has grown by our headers.
func ReplayOptions() []kgo.Opt {
	return []kgo.Opt{
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchMaxBytes(maxSetAsideBytes),
		kgo.RequiredAcks(kgo.AllISRAcks()),
	}
}

// appendTo appends o to the headers of the original record, which stay as they
// are, in front.
func (o *Origin) appendTo(original []kgo.RecordHeader) []kgo.RecordHeader {
	h := make([]kgo.RecordHeader, len(original), len(original)+11)
	copy(h, original)
	add := func(key, value string) { h = append(h, kgo.RecordHeader{Key: key, Value: []byte(value)}) }
	addTime := func(key string, t time.Time) {
		if !t.IsZero() {
			add(key, t.UTC().Format(time.RFC3339Nano))
		}
	}
	add(HeaderTopic, o.Topic) // splitOrigin looks for it: it must come first.
	add(HeaderPartition, strconv.Itoa(int(o.Partition)))
	add(HeaderOffset, strconv.FormatInt(o.Offset, 10))
	add(HeaderGroup, o.Group)
	add(HeaderDeliveries, strconv.Itoa(o.Attempts))
	add(HeaderMessage, strings.ToValidUTF8(o.Message[:min(len(o.Message), maxMessage)], ""))
	add(HeaderException, o.Reason)
	addTime(HeaderTimestamp, o.Timestamp)
	addTime(HeaderFirstFailed, o.FirstFailed)
	if o.Replays > 0 {
		add(HeaderReplays, strconv.Itoa(o.Replays))
	}
	addTime(HeaderNotBefore, o.NotBefore)
	return h
}

// splitOrigin parts the headers of a set-aside record into those that it had
// and its origin. Whatever can't be read is zero: an operator's replay may come
// without any of it.
func splitOrigin(headers []kgo.RecordHeader) (original []kgo.RecordHeader, o Origin, ok bool) {
	start := len(headers) - 1
	for start >= 0 && headers[start].Key != HeaderTopic {
		start--
	}
	if start < 0 {
		return headers, Origin{}, false
	}
	for _, h := range headers[start:] {
		o.read(h.Key, string(h.Value))
	}
	return headers[:start:start], o, true
}

func (o *Origin) read(key, value string) {
	number := func(bits int) int64 { n, _ := strconv.ParseInt(value, 10, bits); return n }
	moment := func() time.Time { t, _ := time.Parse(time.RFC3339Nano, value); return t }
	switch key {
	case HeaderTopic:
		o.Topic = value
	case HeaderPartition:
		o.Partition = int32(number(32))
	case HeaderOffset:
		o.Offset = number(64)
	case HeaderGroup:
		o.Group = value
	case HeaderDeliveries:
		o.Attempts = max(int(number(32)), 0)
	case HeaderMessage:
		o.Message = value
	case HeaderException:
		o.Reason = value
	case HeaderTimestamp:
		o.Timestamp = moment()
	case HeaderFirstFailed:
		o.FirstFailed = moment()
	case HeaderReplays:
		o.Replays = max(int(number(32)), 0)
	case HeaderNotBefore:
		o.NotBefore = moment()
	}
}
