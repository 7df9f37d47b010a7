package dlq

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// pollStep is how long a reader waits for records that are known to be there
	// before it asks whether they still are.
	pollStep = 2 * time.Second
	// readPatience is how long it asks until it gives up.
	readPatience = 20 * time.Second
)

// enough ends a scan early without an error.
var errEnough = errors.New("enough")

// scan hands on the records of a span in order. next is the offset after those
// that each took: also past what is no letter, such as a transaction's marker.
func (d *Desk) scan(ctx context.Context, topic string, s span, each func(*kgo.Record) error) (next int64, err error) {
	next = s.from
	if next >= s.to {
		return next, nil
	}
	client, err := kgo.NewClient(append(d.opts,
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {s.partition: kgo.NewOffset().At(s.from)}}),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.FetchMaxBytes(4<<20), kgo.MaxBufferedRecords(2000),
	)...)
	if err != nil {
		return next, fmt.Errorf("reader: %w", err)
	}
	defer client.Close()
	for last := time.Now(); next < s.to; {
		records, err := poll(ctx, client)
		if err != nil {
			return next, fmt.Errorf("read %s/%d: %w", topic, s.partition, err)
		}
		if len(records) == 0 {
			if gone, err := d.deletedUpTo(ctx, topic, s); err != nil || gone {
				return next, err
			}
			if time.Since(last) > readPatience {
				return next, fmt.Errorf("read %s/%d: nothing comes from offset %d on, though it ends at %d", topic, s.partition, next, s.to)
			}
			continue
		}
		last = time.Now()
		for _, r := range records {
			if r.Offset >= s.to {
				return s.to, nil
			}
			if !r.Attrs.IsControl() {
				if err := each(r); errors.Is(err, errEnough) {
					return next, nil
				} else if err != nil {
					return next, err
				}
			}
			next = r.Offset + 1
		}
	}
	return next, nil
}

// poll returns no records when none came in time.
func poll(ctx context.Context, client *kgo.Client) ([]*kgo.Record, error) {
	step, cancel := context.WithTimeout(ctx, pollStep)
	defer cancel()
	fetches := client.PollRecords(step, 500)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	for _, e := range fetches.Errors() {
		if !errors.Is(e.Err, context.DeadlineExceeded) {
			return nil, e.Err
		}
	}
	return fetches.Records(), nil
}

// deletedUpTo reports whether another operator has decided about all of a span
// since it was measured.
func (d *Desk) deletedUpTo(ctx context.Context, topic string, s span) (bool, error) {
	starts, err := d.admin.ListStartOffsets(ctx, topic)
	if err != nil {
		return false, fmt.Errorf("begin of %s: %w", topic, err)
	}
	start, _ := starts.Lookup(topic, s.partition)
	return start.Offset >= s.to, nil
}

// Each hands on the open letters that the filter takes, box by box, each
// partition in the order of its log. It changes nothing.
func (d *Desk) Each(ctx context.Context, kind Kind, f Filter, each func(*Letter) error) error {
	boxes, err := d.Boxes(ctx, kind, f.Group, f.Topic)
	if err != nil {
		return err
	}
	for _, b := range boxes {
		spans, err := d.spans(ctx, b)
		if err != nil {
			return err
		}
		for _, s := range spans {
			_, err := d.scan(ctx, b.Name, s, func(r *kgo.Record) error {
				if l := newLetter(b, r); f.Takes(l) {
					return each(l)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
