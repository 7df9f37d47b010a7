package dlq

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/kafka"
)

// Kind says what lies in a box. It is the end of the topic's name.
type Kind string

// The kinds of boxes.
const (
	Open        Kind = "dlq"        // given up, and nobody has decided
	Quarantined Kind = "quarantine" // replayed too often
	Discarded   Kind = "discarded"  // given up for good
)

// Box is a topic of dead letters that belongs to one consumer group.
type Box struct {
	Name  string
	Kind  Kind
	Topic string // where its letters were first
	Group string // who gave them up

	partitions  int32
	replication int16
}

// sibling is the group's box of another kind for the same topic.
func (b Box) sibling(kind Kind) string { return BoxTopic(b.Topic, b.Group, kind) }

// BoxTopic is the name of a group's box for what was first in topic.
func BoxTopic(topic, group string, kind Kind) string { return topic + "." + group + "." + string(kind) }

// operators is the consumer group whose offsets say what has been decided.
func (b Box) operators() string { return kafka.DLQOperators(b.Group) }

// Desk is where an operator works off dead letters.
type Desk struct {
	opts   []kgo.Opt
	client *kgo.Client
	admin  *kadm.Client

	beforeCommit func() // see stepper
}

// NewDesk returns a desk for the brokers, as host:port. Nothing is connected
// before it is used.
func NewDesk(login kafka.Login, brokers ...string) (*Desk, error) {
	// Clipped, because every client of the desk appends what is its own.
	d := &Desk{opts: slices.Clip(append(kafka.Options(brokers, "ballast-dlq"), login.Options()...))}
	var err error
	if d.client, err = kgo.NewClient(d.opts...); err != nil {
		return nil, fmt.Errorf("kafka brokers: %w", err)
	}
	d.admin = kadm.NewClient(d.client)
	return d, nil
}

// Close ends the connections.
func (d *Desk) Close() { d.client.Close() }

// Boxes lists the boxes of a kind, by name, of one group and topic or of all
// where those are empty.
func (d *Desk) Boxes(ctx context.Context, kind Kind, group, topic string) ([]Box, error) {
	topics, err := d.admin.ListTopics(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	var boxes []Box
	for name, detail := range topics {
		rest, ok := strings.CutSuffix(name, "."+string(kind))
		if !ok || detail.Err != nil {
			continue
		}
		b := Box{Name: name, Kind: kind, partitions: int32(len(detail.Partitions)), replication: int16(detail.Partitions.NumReplicas())}
		b.Topic, b.Group = part(rest, topics)
		if (group == "" || group == b.Group) && (topic == "" || topic == b.Topic) {
			boxes = append(boxes, b)
		}
	}
	slices.SortFunc(boxes, func(a, b Box) int { return cmp.Compare(a.Name, b.Name) })
	return boxes, nil
}

// part cuts "inventory.products.orders.products" into topic and group. Both may
// have dots, so the topic is the longest beginning that is a topic.
func part(name string, topics kadm.TopicDetails) (topic, group string) {
	for i := len(name); ; {
		i = strings.LastIndexByte(name[:i], '.')
		if i < 0 {
			break
		}
		if topics.Has(name[:i]) {
			return name[:i], name[i+1:]
		}
	}
	// The source is gone.
	i := max(strings.LastIndexByte(name, '.'), 0)
	return name[:i], strings.TrimPrefix(name[i:], ".")
}

// span is what is open of a partition: from the operators' offset to the end.
type span struct {
	partition int32
	from, to  int64
}

// stableSpans waits for the offsets of a transaction that is being committed.
func (d *Desk) stableSpans(ctx context.Context, b Box) ([]span, error) {
	return d.spans(kadm.RequireStable(ctx), b)
}

// spans returns what is open of a box now, by partition, without the empty ones.
func (d *Desk) spans(ctx context.Context, b Box) ([]span, error) {
	open, err := kafka.Undecided(ctx, d.admin, b.operators(), b.Name)
	if err != nil {
		return nil, err
	}
	all := make([]span, len(open))
	for i, s := range open {
		all[i] = span{s.Partition, s.From, s.To}
	}
	return all, nil
}
