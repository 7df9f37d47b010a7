package stream

import (
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Headers that follow a record into the retry topic and the DLQ. The first six
// are Apache Kafka's own (KIP-1191), so that one reader understands the records
// that brokers set aside too; the others are ours under the same prefix. All
// values are UTF-8 text, times are RFC 3339.
const (
	headerTopic       = "__dlq.errors.topic"
	headerPartition   = "__dlq.errors.partition"
	headerOffset      = "__dlq.errors.offset"
	headerGroup       = "__dlq.errors.group"
	headerDeliveries  = "__dlq.errors.delivery.count"
	headerMessage     = "__dlq.errors.message"
	headerException   = "__dlq.errors.exception"
	headerTimestamp   = "__dlq.errors.timestamp"
	headerFirstFailed = "__dlq.errors.first.failed.at"
	headerReplays     = "__dlq.errors.replay.count"
	headerNotBefore   = "__dlq.errors.not.before"
)

// maxMessage bounds the error text in a header, in bytes.
const maxMessage = 1024

// origin is where a set-aside record came from and why it was set aside.
type origin struct {
	topic       string
	partition   int32
	offset      int64
	group       string
	deliveries  int // attempts made; 0 for a record that only waits behind its key
	message     string
	exception   string    // one of the reasons
	timestamp   time.Time // of the record in its source topic
	firstFailed time.Time
	replays     int       // how often an operator sent it back from the DLQ
	notBefore   time.Time // of the next attempt
}

// appendTo appends o to the headers of the original record, which stay as they
// are, in front.
func (o *origin) appendTo(original []kgo.RecordHeader) []kgo.RecordHeader {
	h := make([]kgo.RecordHeader, len(original), len(original)+11)
	copy(h, original)
	add := func(key, value string) { h = append(h, kgo.RecordHeader{Key: key, Value: []byte(value)}) }
	addTime := func(key string, t time.Time) {
		if !t.IsZero() {
			add(key, t.UTC().Format(time.RFC3339Nano))
		}
	}
	add(headerTopic, o.topic) // splitOrigin looks for it: it must come first.
	add(headerPartition, strconv.Itoa(int(o.partition)))
	add(headerOffset, strconv.FormatInt(o.offset, 10))
	add(headerGroup, o.group)
	add(headerDeliveries, strconv.Itoa(o.deliveries))
	add(headerMessage, strings.ToValidUTF8(o.message[:min(len(o.message), maxMessage)], ""))
	add(headerException, o.exception)
	addTime(headerTimestamp, o.timestamp)
	addTime(headerFirstFailed, o.firstFailed)
	if o.replays > 0 {
		add(headerReplays, strconv.Itoa(o.replays))
	}
	addTime(headerNotBefore, o.notBefore)
	return h
}

// splitOrigin parts the headers of a set-aside record into those that it had
// and its origin. Whatever can't be read is zero: an operator's replay may come
// without any of it.
func splitOrigin(headers []kgo.RecordHeader) (original []kgo.RecordHeader, o origin, ok bool) {
	start := len(headers) - 1
	for start >= 0 && headers[start].Key != headerTopic {
		start--
	}
	if start < 0 {
		return headers, origin{}, false
	}
	for _, h := range headers[start:] {
		o.read(h.Key, string(h.Value))
	}
	return headers[:start:start], o, true
}

func (o *origin) read(key, value string) {
	number := func(bits int) int64 { n, _ := strconv.ParseInt(value, 10, bits); return n }
	moment := func() time.Time { t, _ := time.Parse(time.RFC3339Nano, value); return t }
	switch key {
	case headerTopic:
		o.topic = value
	case headerPartition:
		o.partition = int32(number(32))
	case headerOffset:
		o.offset = number(64)
	case headerGroup:
		o.group = value
	case headerDeliveries:
		o.deliveries = max(int(number(32)), 0)
	case headerMessage:
		o.message = value
	case headerException:
		o.exception = value
	case headerTimestamp:
		o.timestamp = moment()
	case headerFirstFailed:
		o.firstFailed = moment()
	case headerReplays:
		o.replays = int(number(32))
	case headerNotBefore:
		o.notBefore = moment()
	}
}
