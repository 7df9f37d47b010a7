package stream

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/poll"
)

// Tuned by judgement. The lag takes a few small requests; a person who works
// letters off needs no newer figure. Every member of a group reports the same, so
// one that is cut off must not hold an alert with what it knew once.
const (
	lagEvery     = time.Second
	lettersEvery = 5 * time.Second
	lagKept      = 30 * time.Second
)

// lags asks the brokers and not the polls, because a consumer that is paused does
// not poll, and that is when its lag grows.
type lags struct {
	records *poll.Question[map[string]map[int32]int64] // by topic and partition
	letters *poll.Question[map[string]int64]           // that are open, by source topic
}

func newLags(c *Consumer) lags {
	return lags{
		records: &poll.Question[map[string]map[int32]int64]{
			Name: "lag", Logger: c.log, Every: lagEvery, Timeout: askTimeout, Keep: lagKept,
			Ask: func(ctx context.Context) (map[string]map[int32]int64, error) {
				return kafka.Lag(ctx, kadm.NewClient(c.client), c.cfg.Group)
			},
		},
		letters: &poll.Question[map[string]int64]{
			Name: "open dead letters", Logger: c.log, Every: lettersEvery, Timeout: askTimeout, Keep: lagKept,
			Ask: c.openLetters,
		},
	}
}

func (c *Consumer) openLetters(ctx context.Context) (map[string]int64, error) {
	open := make(map[string]int64, len(c.cfg.Topics))
	for _, topic := range c.cfg.Topics {
		spans, err := kafka.Undecided(ctx, kadm.NewClient(c.client), kafka.DLQOperators(c.cfg.Group), kafka.DLQTopic(topic, c.cfg.Group))
		if err != nil {
			return nil, err
		}
		open[topic] = 0
		for _, s := range spans {
			open[topic] += s.To - s.From
		}
	}
	return open, nil
}

// Lag is how many records of its topics the group had not finished a moment ago:
// waiting, or in the hands of a handler. What waits in retry topics does not
// count, because it waits for a time and not for a consumer. It is 0 when no broker
// has answered for half a minute: nothing comes in then. It may be called at any time.
func (c *Consumer) Lag() (records int64) {
	lag, _ := c.lags.records.Answer()
	for topic, partitions := range lag {
		if _, source := c.retryOf[topic]; source {
			for _, n := range partitions {
				records += n
			}
		}
	}
	return records
}

// showLag exports what is known.
func (c *Consumer) showLag() (metric.Registration, error) {
	topic := func(name string) attribute.KeyValue { return attribute.String("topic", name) }
	return c.cfg.Meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		lag, _ := c.lags.records.Answer()
		for name, partitions := range lag {
			for p, n := range partitions {
				o.ObserveInt64(c.metrics.lag, n, metric.WithAttributes(c.metrics.group, topic(name), attribute.Int("partition", int(p))))
			}
		}
		letters, _ := c.lags.letters.Answer()
		for name, n := range letters {
			o.ObserveInt64(c.metrics.letters, n, metric.WithAttributes(c.metrics.group, topic(name)))
		}
		return nil
	}, c.metrics.lag, c.metrics.letters)
}
