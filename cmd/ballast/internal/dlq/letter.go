package dlq

import (
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/stream"
)

// Headers of a discarded letter, behind those of its origin.
const (
	headerDiscardReason = "__dlq.discard.reason"
	headerDiscardBy     = "__dlq.discard.by"
	headerDiscardAt     = "__dlq.discard.at" // RFC 3339
)

// unknown stands for what a letter does not say: brokers give no reason, and a
// record that is no message has no type.
const unknown = "-"

// Letter is one dead letter.
type Letter struct {
	// ID of the message (ce_id), or else Source.
	ID string `json:"id"`
	// Box and Place are the topic that it lies in, and partition/offset there,
	// which changes when others are decided about.
	Box   string `json:"box"`
	Place string `json:"place"`
	// Source is topic/partition/offset where the message was first.
	Source string `json:"source"`
	Group  string `json:"group"`
	Topic  string `json:"topic"`
	// Key is the order's id, or the SKU.
	Key  string `json:"key"`
	Type string `json:"type"`
	// Reason is one of stream's, Error the chain of errors.
	Reason string `json:"reason"`
	Error  string `json:"error,omitempty"`
	// Attempts since the latest replay, and how often it was replayed.
	Attempts int `json:"attempts"`
	Replays  int `json:"replays"`
	// DiedAt is when it was given up, FirstFailed when its first attempt failed,
	// and SentAt when the message was written to its topic.
	DiedAt      time.Time `json:"diedAt"`
	FirstFailed time.Time `json:"firstFailed,omitzero"`
	SentAt      time.Time `json:"sentAt,omitzero"`
	Bytes       int       `json:"bytes"`
	// Hollow says that whoever made it kept the headers alone, a broker always, a
	// consumer what was too large for any letter: there is nothing to replay.
	Hollow bool `json:"hollow,omitempty"`
	// Discard is only there in the box of discarded letters.
	Discard *Discard `json:"discard,omitempty"`

	record *kgo.Record
}

// Discard is why a letter was given up for good.
type Discard struct {
	Reason string    `json:"reason"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

func newLetter(b Box, r *kgo.Record) *Letter {
	o, _ := stream.ReadOrigin(r)
	original := stream.Original(r)
	l := &Letter{
		Box: b.Name, Place: strconv.Itoa(int(r.Partition)) + "/" + strconv.FormatInt(r.Offset, 10),
		Source: original.Topic + "/" + strconv.Itoa(int(original.Partition)) + "/" + strconv.FormatInt(original.Offset, 10),
		Group:  b.Group, Topic: b.Topic, Key: string(r.Key), Type: header(original, "ce_type"),
		Reason: o.Reason, Error: o.Message, Attempts: o.Attempts, Replays: o.Replays,
		DiedAt: r.Timestamp, FirstFailed: o.FirstFailed, SentAt: o.Timestamp, Bytes: len(r.Key) + len(r.Value),
		Hollow:  r.Value == nil && (o.Reason == stream.ReasonOversize || r.Key == nil && len(original.Headers) == 0),
		Discard: readDiscard(r), record: r,
	}
	if l.ID = header(original, "ce_id"); l.ID == "" {
		l.ID = l.Source
	}
	for _, field := range []*string{&l.Type, &l.Reason} {
		if *field == "" {
			*field = unknown
		}
	}
	return l
}

// header returns the last value of a header. It also reads what is no message:
// a record with a broken time still has its type.
func header(r *kgo.Record, key string) (value string) {
	for _, h := range r.Headers {
		if h.Key == key {
			value = string(h.Value)
		}
	}
	return value
}

func readDiscard(r *kgo.Record) *Discard {
	d := Discard{Reason: header(r, headerDiscardReason), By: header(r, headerDiscardBy)}
	at, err := time.Parse(time.RFC3339Nano, header(r, headerDiscardAt))
	if err != nil {
		return nil
	}
	d.At = at
	return &d
}

// Filter says which letters an operator means. What is empty takes all.
type Filter struct {
	Group, Topic, Reason string
	// Type is the full Protobuf name, or its last part.
	Type string
	// Key is an order's id, or a SKU.
	Key string
	// ID is a message's id, or its place as in Letter.Source.
	ID string
	// Since and Until bound the time at which a letter was given up: from Since
	// on, before Until.
	Since, Until time.Time
}

// Takes reports whether the filter takes a letter.
func (f Filter) Takes(l *Letter) bool {
	is := func(want, have string) bool { return want == "" || want == have }
	return is(f.Group, l.Group) && is(f.Topic, l.Topic) && (is(f.Type, l.Type) || strings.HasSuffix(l.Type, "."+f.Type)) && is(f.Reason, l.Reason) && is(f.Key, l.Key) &&
		(f.ID == "" || f.ID == l.ID || f.ID == l.Source) &&
		!l.DiedAt.Before(f.Since) && (f.Until.IsZero() || l.DiedAt.Before(f.Until))
}
