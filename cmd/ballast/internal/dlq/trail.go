package dlq

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Trail hands on every record of a key that was written at since or later, topic
// by topic: of each topic it reads the one partition that the key belongs to,
// where the topics of set-aside records have it too, and at most so many records.
// What it had to leave out it says in notes, and goes on.
func (d *Desk) Trail(ctx context.Context, key string, since time.Time, most int64, each func(*kgo.Record)) (notes []string, err error) {
	topics, err := d.admin.ListTopics(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	topics.FilterInternal()
	names := topics.Names()
	begins, err := d.admin.ListOffsetsAfterMilli(ctx, since.UnixMilli(), names...)
	if err != nil {
		return nil, fmt.Errorf("offsets at %s: %w", since.Format(time.RFC3339), err)
	}
	ends, err := d.admin.ListCommittedOffsets(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("ends of topics: %w", err)
	}
	hash := kgo.StickyKeyPartitioner(nil) // as the relay's producer has it
	slices.Sort(names)
	for _, name := range names {
		p := int32(hash.ForTopic(name).Partition(&kgo.Record{Key: []byte(key)}, len(topics[name].Partitions))) //nolint:gosec // a partition's number
		begin, known := begins.Lookup(name, p)
		end, ended := ends.Lookup(name, p)
		if !known || !ended || begin.Err != nil || end.Err != nil {
			notes = append(notes, fmt.Sprintf("%s/%d could not be read", name, p))
			continue
		}
		s := span{partition: p, from: begin.Offset, to: end.Offset}
		if s.to-s.from > most {
			notes = append(notes, fmt.Sprintf("of %s/%d the first %d records were read, %d were not", name, p, most, s.to-s.from-most))
			s.to = s.from + most
		}
		_, err := d.scan(ctx, name, s, func(r *kgo.Record) error {
			if string(r.Key) == key {
				each(r)
			}
			return nil
		})
		if err != nil {
			return notes, err
		}
	}
	return notes, nil
}
