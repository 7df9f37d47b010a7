package kafka

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
)

// DLQOperators is the consumer group whose offsets say which dead letters of group
// have been decided about.
func DLQOperators(group string) string { return group + ".dlq-replay" }

// Span is what of a partition is between two offsets, the second not included.
type Span struct {
	Partition int32
	From, To  int64
}

// Undecided returns what lies in topic above the offsets of group, by partition and
// without the empty ones. In a topic of dead letters whose group is DLQOperators they
// are those that wait for a person, with a transaction's marker here and there.
func Undecided(ctx context.Context, adm *kadm.Client, group, topic string) ([]Span, error) {
	starts, err := adm.ListStartOffsets(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("begin of %s: %w", topic, err)
	}
	// Up to an open transaction: what comes after it is not there yet.
	ends, err := adm.ListCommittedOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("end of %s: %w", topic, err)
	}
	decided, err := Committed(ctx, adm, group, topic)
	if err != nil {
		return nil, err
	}
	var all []Span
	for p, end := range ends[topic] {
		start, _ := starts.Lookup(topic, p)
		s := Span{Partition: p, From: start.Offset, To: end.Offset}
		if at, ok := decided.Lookup(topic, p); ok {
			s.From = max(s.From, at.At)
		}
		if s.From < s.To {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b Span) int { return cmp.Compare(a.Partition, b.Partition) })
	return all, nil
}
