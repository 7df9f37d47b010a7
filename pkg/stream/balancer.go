package stream

import "github.com/twmb/franz-go/pkg/kgo"

// copartitioned lets the owner of a source partition own the same partition of
// its retry topic too, because only one process can know what is parked.
//
// The group negotiates about source topics alone, cooperative-sticky as ever.
// Each member then reads the retry partitions into its own assignment, and out
// again of what it reports to own.
type copartitioned struct {
	kgo.GroupBalancer
	retryOf map[string]string // source topic -> retry topic
	source  map[string]bool
}

func newBalancer(retryOf map[string]string) copartitioned {
	b := copartitioned{kgo.CooperativeStickyBalancer(), retryOf, make(map[string]bool, len(retryOf))}
	for topic := range retryOf {
		b.source[topic] = true
	}
	return b
}

// ProtocolName is not cooperative-sticky, so that no member without the
// mirroring can join.
func (copartitioned) ProtocolName() string { return "copartitioned-sticky" }

// JoinGroupMetadata reports interest in and ownership of the source topics.
func (b copartitioned) JoinGroupMetadata(interests []string, owned map[string][]int32, generation int32) []byte {
	topics := make([]string, 0, len(b.retryOf))
	for _, topic := range interests {
		if b.source[topic] {
			topics = append(topics, topic)
		}
	}
	for topic := range owned {
		if !b.source[topic] {
			delete(owned, topic)
		}
	}
	return b.GroupBalancer.JoinGroupMetadata(topics, owned, generation)
}

// ParseSyncAssignment adds the retry partitions to the assigned source
// partitions.
func (b copartitioned) ParseSyncAssignment(assignment []byte) (map[string][]int32, error) {
	assigned, err := b.GroupBalancer.ParseSyncAssignment(assignment)
	if err != nil {
		return nil, err //nolint:wrapcheck // The wrapper has nothing to add.
	}
	for topic, retry := range b.retryOf {
		if partitions := assigned[topic]; len(partitions) > 0 {
			assigned[retry] = append([]int32(nil), partitions...)
		}
	}
	return assigned, nil
}
