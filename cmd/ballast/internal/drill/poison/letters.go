package poison

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/stream"
)

// collector reads all dead letters as they come, by topic.
type collector struct {
	client *kgo.Client
	byDLQ  map[string][]*kgo.Record
	marks  map[string]int
}

func collect(brokers []string) (*collector, error) {
	topics := make([]string, len(feeds))
	for i, f := range feeds {
		topics[i] = f.dlq()
	}
	client, err := kgo.NewClient(append(kafka.Options(brokers, "poison"),
		kgo.ConsumeTopics(topics...), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		return nil, fmt.Errorf("connect to the broker: %w", err)
	}
	return &collector{client: client, byDLQ: map[string][]*kgo.Record{}, marks: map[string]int{}}, nil
}

func (c *collector) close() { c.client.Close() }

// await collects until it is enough, and no longer than that.
func (c *collector) await(ctx context.Context, within time.Duration, enough func() bool) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for !enough() && ctx.Err() == nil {
		c.client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			c.byDLQ[r.Topic] = append(c.byDLQ[r.Topic], r)
			if m := mark(r); m != "" {
				c.marks[m]++
			}
		})
	}
}

// missing is how much of what was injected is in no DLQ yet.
func (p *play) missing() int { return len(p.injected) - len(p.letters.marks) }

// stranded are the orders of the traffic whose charge payments has given up: they
// can be cancelled. With few orders, the first may be some time in coming.
func (p *play) stranded(ctx context.Context) map[string]bool {
	orders := map[string]bool{}
	for _, r := range p.letters.byDLQ[kafka.DLQTopic("payments.commands", "payments")] {
		if _, known := p.injected[mark(r)]; !known && p.strikes(ctx, "payments", string(r.Key)) {
			orders[string(r.Key)] = true
		}
	}
	return orders
}

// verdicts on the letters of one feed.
type verdicts struct {
	byKind  map[kind]int // injected and found as it was
	twice   int          // written more than once, as may happen
	natural int          // of orders that the panics struck by themselves
	strange []string     // that should not be there
	spoilt  []string     // that are not what was injected
}

// examine holds each letter of a feed against what was injected.
func (p *play) examine(ctx context.Context, f feed) verdicts {
	v := verdicts{byKind: map[kind]int{}}
	seen := map[string]bool{}
	for _, r := range p.letters.byDLQ[f.dlq()] {
		o, _ := stream.ReadOrigin(r)
		one, known := p.injected[mark(r)]
		switch {
		case known && seen[mark(r)]:
			v.twice++
		case known && one.feed == f && o.Reason == one.kind.reason() && same(one.record, r):
			seen[mark(r)] = true
			v.byKind[one.kind]++
		case known:
			v.spoilt = append(v.spoilt, mark(r)+" as "+o.Reason)
		case o.Reason == stream.ReasonFault && p.strikes(ctx, f.service, string(r.Key)):
			v.natural++
		default:
			v.strange = append(v.strange, fmt.Sprintf("%s of %s: %s", o.Reason, r.Key, o.Message))
		}
	}
	return v
}

// same tells whether key, value and original headers came through.
func same(sent, letter *kgo.Record) bool {
	original := stream.Original(letter)
	return bytes.Equal(sent.Key, original.Key) && bytes.Equal(sent.Value, original.Value) &&
		sent.Topic == original.Topic && reflect.DeepEqual(sent.Headers, original.Headers)
}

// read returns all that is in a topic now.
func (p *play) read(ctx context.Context, topic string) ([]*kgo.Record, error) {
	ends, err := kadm.NewClient(p.client).ListEndOffsets(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("end of %s: %w", topic, err)
	}
	brokers, _ := p.client.OptValue(kgo.SeedBrokers).([]string)
	client, err := kgo.NewClient(append(kafka.Options(brokers, "poison"), kgo.ConsumeTopics(topic), kgo.KeepControlRecords(),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		return nil, fmt.Errorf("connect to the broker: %w", err)
	}
	defer client.Close()
	open := 0
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			open++
		}
	})
	var records []*kgo.Record
	for open > 0 {
		fetches := client.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if end, _ := ends.Lookup(topic, r.Partition); r.Offset == end.Offset-1 {
				open--
			}
			records = append(records, r)
		})
	}
	return records, nil
}
