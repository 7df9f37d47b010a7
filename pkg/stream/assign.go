package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"example.com/ballast/pkg/kafka"
)

const (
	// maxSetAsideBytes lets a record of the broker's default maximum, 1 MiB,
	// grow by our headers.
	maxSetAsideBytes = 2 << 20
	// maxLetterBytes leaves room for our headers in a batch of one record.
	maxLetterBytes = maxSetAsideBytes - 64<<10
	// A broker that does not answer is named in the log after askTimeout, and
	// asked again after askAgain.
	askTimeout = 5 * time.Second
	askAgain   = 500 * time.Millisecond
)

// prepare waits until the source topics exist and makes the group's own topics,
// with as many partitions. It returns the topics to consume.
func (c *Consumer) prepare(ctx context.Context) ([]string, error) {
	client, err := kgo.NewClient(c.cfg.Kafka.Options(c.cfg.Group)...)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	defer client.Close()
	for {
		err := c.ensureOwn(ctx, client)
		if err == nil {
			break
		}
		c.log.Warn("waiting for topics", "topics", c.cfg.Topics, "error", err)
		if sleep(ctx, askAgain); ctx.Err() != nil {
			return nil, err
		}
	}
	return slices.AppendSeq(slices.Clone(c.cfg.Topics), maps.Values(c.retryOf)), nil
}

// ensureOwn makes a retry and a DLQ topic for each source topic, or grows them.
func (c *Consumer) ensureOwn(ctx context.Context, client *kgo.Client) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	own, err := OwnTopics(ctx, client, c.cfg.Group, c.cfg.Topics, c.cfg.Kafka.Replication)
	if err != nil {
		return err
	}
	return kafka.EnsureTopics(ctx, client, own)
}

// OwnTopics are those that a consumer of the group needs beside its sources, which
// must be there: a retry and a DLQ topic for each, with as many partitions. A consumer
// makes them itself, where it may.
func OwnTopics(ctx context.Context, client *kgo.Client, group string, topics []string, replication int16) ([]kafka.Topic, error) {
	sources, err := kadm.NewClient(client).ListTopics(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	var own []kafka.Topic
	for _, topic := range topics {
		source, ok := sources[topic]
		if !ok {
			source.Err = kerr.UnknownTopicOrPartition
		}
		if source.Err != nil {
			return nil, fmt.Errorf("topic %s: %w", topic, source.Err)
		}
		t := kafka.Topic{
			Name: kafka.RetryTopic(topic, group), Partitions: int32(len(source.Partitions)), Replication: replication,
			Config: map[string]string{"max.message.bytes": strconv.Itoa(maxSetAsideBytes)},
		}
		own = append(own, t)
		// A dead letter stays until somebody has decided about it.
		t.Name, t.Config = kafka.DLQTopic(topic, group), maps.Clone(t.Config)
		t.Config["retention.ms"] = "-1"
		own = append(own, t)
	}
	return own, nil
}

// assigned opens a lane for each new source partition. It returns when it knows
// how far the retry partitions have to be read: without a broker to say so,
// there is nothing to consume either. The callbacks have the client as
// an argument because they may come before NewClient has returned it.
func (c *Consumer) assigned(ctx context.Context, client *kgo.Client, added map[string][]int32) {
	for topic, retry := range c.retryOf {
		partitions := added[topic]
		if len(partitions) == 0 {
			continue
		}
		var read, end map[int32]int64
		for {
			var err error
			if read, end, err = c.retryRange(ctx, client, retry); err == nil {
				break
			}
			c.log.Warn("waiting for the offsets of the retry topic", "topic", retry, "error", err)
			if sleep(ctx, askAgain); ctx.Err() != nil {
				return
			}
		}
		for _, p := range partitions {
			l := &lane{
				topic: topic, retry: retry, partition: p, attrs: c.metrics.lane(topic),
				next: -1, committed: -1, retryNext: read[p], retryCommitted: read[p],
				openAt: end[p], keys: make(map[string]*key),
			}
			c.lanes[place{topic, p}], c.lanes[place{retry, p}] = l, l
			if l.closed = l.retryNext < l.openAt; l.closed {
				client.PauseFetchPartitions(map[string][]int32{topic: {p}})
			}
		}
	}
}

// retryRange returns by partition from where the group will read the topic and
// where it ends now.
func (c *Consumer) retryRange(ctx context.Context, client *kgo.Client, topic string) (read, end map[int32]int64, err error) {
	// A source topic may have been given more partitions.
	if err := c.ensureOwn(ctx, client); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	adm := kadm.NewClient(client)
	starts, err := adm.ListStartOffsets(ctx, topic)
	if err != nil {
		return nil, nil, fmt.Errorf("start offsets: %w", err)
	}
	ends, err := adm.ListEndOffsets(ctx, topic)
	if err != nil {
		return nil, nil, fmt.Errorf("end offsets: %w", err)
	}
	if err := ends.Error(); err != nil {
		return nil, nil, fmt.Errorf("end offsets: %w", err)
	}
	committed, err := kafka.Committed(ctx, adm, c.cfg.Group, topic)
	if err != nil {
		return nil, nil, err
	}
	read, end = make(map[int32]int64), make(map[int32]int64)
	for p, e := range ends[topic] {
		end[p] = e.Offset
		start, _ := starts.Lookup(topic, p)
		read[p] = start.Offset
		if o, ok := committed.Lookup(topic, p); ok {
			read[p] = max(read[p], o.At)
		}
	}
	return read, end, nil
}

// revoked closes lanes whether they were given back or lost. There is nothing
// to commit: what is settled was committed before the rebalance was allowed,
// and the rest is the next owner's.
func (c *Consumer) revoked(_ context.Context, client *kgo.Client, gone map[string][]int32) {
	for topic, partitions := range gone {
		for _, p := range partitions {
			if l := c.lanes[place{topic, p}]; l != nil {
				l.revoked = true
				delete(c.lanes, place{topic, p})
			}
		}
	}
	// Pauses outlive an assignment unless they are taken back.
	client.ResumeFetchPartitions(gone)
	c.pending = slices.DeleteFunc(c.pending, func(r Record) bool { return r.lane.revoked })
}

// valve opens and closes the partitions of a lane.
func (c *Consumer) valve(l *lane) {
	if l.closed && l.retryNext >= l.openAt {
		l.closed = false
		c.client.ResumeFetchPartitions(map[string][]int32{l.topic: {l.partition}})
	}
	retry := map[string][]int32{l.retry: {l.partition}}
	switch {
	case !l.full && len(l.held) >= c.cfg.MaxHeld:
		l.full = true
		c.client.PauseFetchPartitions(retry)
	case l.full && len(l.held) <= c.cfg.MaxHeld/2:
		l.full = false
		c.client.ResumeFetchPartitions(retry)
	}
}

// commit commits what is settled in all lanes. An offset that can't be
// committed now is committed with the next batch, or read again by the next
// owner.
func (c *Consumer) commit(ctx context.Context) {
	var offsets map[string]map[int32]kgo.EpochOffset
	set := func(topic string, partition int32, at kgo.EpochOffset) {
		if offsets == nil {
			offsets = make(map[string]map[int32]kgo.EpochOffset)
		}
		if offsets[topic] == nil {
			offsets[topic] = make(map[int32]kgo.EpochOffset)
		}
		offsets[topic][partition] = at
	}
	for l := range c.all() {
		if l.next > l.committed {
			set(l.topic, l.partition, kgo.EpochOffset{Epoch: l.epoch, Offset: l.next})
		}
		if done := l.retryDone(); done > l.retryCommitted {
			set(l.retry, l.partition, kgo.EpochOffset{Epoch: -1, Offset: done})
		}
	}
	if offsets == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	c.client.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		if resp == nil { // the request itself failed: the broker is away
			resp = &kmsg.OffsetCommitResponse{}
		}
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				if err = errors.Join(err, kerr.ErrorForCode(p.ErrorCode)); err == nil {
					c.committed(place{t.Topic, p.Partition}, offsets[t.Topic][p.Partition].Offset)
				}
			}
		}
		if err != nil {
			c.log.Warn("offsets not committed: the records will come again", "error", err)
		}
	})
}

func (c *Consumer) committed(at place, offset int64) {
	if l := c.lanes[at]; at.topic == l.topic {
		l.committed = offset
	} else {
		l.retryCommitted = offset
	}
}
