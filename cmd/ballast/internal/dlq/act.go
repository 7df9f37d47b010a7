package dlq

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/stream"
)

// DefaultMaxReplays is after how many replays a letter goes to quarantine. By
// judgement: a fix that is right needs one.
const DefaultMaxReplays = 3

// maxWhy bounds the text of a discard's reason and of who gave it, in bytes.
const maxWhy = 1024

// Replay sends letters back to the groups that gave them up: into their retry
// topics, due at once, with all attempts ahead of them. A letter that was
// replayed maxReplays times already goes to quarantine; from there it is
// replayed whatever its count, because somebody has looked at it.
func (d *Desk) Replay(ctx context.Context, o Options, maxReplays int) (*Report, error) {
	if maxReplays < 1 {
		return nil, errors.New("a letter must be replayed at least once before it goes to quarantine")
	}
	a := action{
		retries: true,
		fate: func(l *Letter) Fate {
			if o.From == Open && l.Replays >= maxReplays {
				return Quarantine
			}
			return Replays
		},
		address: func(b Box, l *Letter, fate Fate) *kgo.Record {
			if fate == Quarantine {
				return to(b.sibling(Quarantined), l)
			}
			return replayed(b, l)
		},
	}
	if o.From == Open {
		a.kinds = []Kind{Quarantined}
	}
	return d.run(ctx, o, a)
}

// replayed is the record for the retry topic. What a broker's or a person's letter
// does not say about its origin is known by its box.
func replayed(b Box, l *Letter) *kgo.Record {
	o, known := stream.ReadOrigin(l.record)
	if !known {
		o.Partition, o.Offset, o.Timestamp = l.record.Partition, l.record.Offset, l.record.Timestamp
	}
	o.Topic, o.Group = b.Topic, b.Group
	return stream.ReplayRecord(l.record, o)
}

// to is the letter as it is in another box of its group.
func to(topic string, l *Letter) *kgo.Record {
	r := l.record
	return &kgo.Record{Topic: topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers}
}

// Discard gives letters up for good: each is kept with the reason, who gave it
// and when.
func (d *Desk) Discard(ctx context.Context, o Options, reason, by string) (*Report, error) {
	switch {
	case reason == "":
		return nil, errors.New("say why these letters may be given up: the reason is kept with each")
	case by == "":
		return nil, errors.New("say who gives these letters up: the name is kept with each")
	case len(reason) > maxWhy || len(by) > maxWhy:
		return nil, errors.New("the reason and the name may have " + strconv.Itoa(maxWhy) + " bytes each")
	}
	now := time.Now().UTC().Format(time.RFC3339Nano)
	return d.run(ctx, o, action{
		kinds: []Kind{Discarded},
		fate:  func(*Letter) Fate { return Discards },
		address: func(b Box, l *Letter, _ Fate) *kgo.Record {
			r := to(b.sibling(Discarded), l)
			headers := make([]kgo.RecordHeader, len(r.Headers), len(r.Headers)+3)
			copy(headers, r.Headers)
			for _, h := range [...]struct{ key, value string }{
				{headerDiscardReason, reason}, {headerDiscardBy, by}, {headerDiscardAt, now},
			} {
				headers = append(headers, kgo.RecordHeader{Key: h.key, Value: []byte(h.value)})
			}
			r.Headers = headers
			return r
		},
	})
}

// boxTopic is the topic of a box: as many partitions as its sibling, and what
// lies in it stays until somebody decides.
func boxTopic(b Box, kind Kind) kafka.Topic {
	return kafka.Topic{
		Name: b.sibling(kind), Partitions: b.partitions, Replication: b.replication,
		Config: map[string]string{"retention.ms": "-1", "max.message.bytes": strconv.Itoa(maxLetterBytes)},
	}
}
