package stream

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"example.com/ballast/pkg/kafka"
)

// lagEvery is how often the lag is looked up, in a few small requests.
const lagEvery = time.Second

// lettersEvery says at which of these times the DLQs are looked at, too: a person
// who works them off needs no newer figure.
const lettersEvery = 5

// Lag is how many records of its topics the group had not finished a moment ago:
// waiting, or in the hands of a handler. What waits in retry topics does not
// count, because it waits for a time and not for a consumer. It may be called at
// any time.
func (c *Consumer) Lag() int64 { return c.lag.Load() }

// watchLag looks the group's lag up until ctx ends, and what lies in its DLQs. It
// asks the brokers and not the polls, because a consumer that is paused does not
// poll, and that is when its lag grows. While no broker answers, the last answer stays.
func (c *Consumer) watchLag(ctx context.Context) {
	admin := kadm.NewClient(c.client)
	for n := 0; ctx.Err() == nil; n++ {
		c.lookUp(ctx, admin, n%lettersEvery == 0)
		sleep(ctx, lagEvery)
	}
}

// lookUp gives up at the first answer that fails: the loop and the client name the
// broker that is away.
func (c *Consumer) lookUp(ctx context.Context, admin *kadm.Client, letters bool) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	lag, err := kafka.Lag(ctx, admin, c.cfg.Group)
	if err != nil {
		return
	}
	var waiting int64
	for topic, partitions := range lag {
		_, source := c.retryOf[topic]
		for p, n := range partitions {
			c.metrics.setLag(ctx, topic, p, n)
			if source {
				waiting += n
			}
		}
	}
	c.lag.Store(waiting)
	if !letters {
		return
	}
	for _, topic := range c.cfg.Topics {
		spans, err := kafka.Undecided(ctx, admin, kafka.DLQOperators(c.cfg.Group), kafka.DLQTopic(topic, c.cfg.Group))
		if err != nil {
			return
		}
		var open int64
		for _, s := range spans {
			open += s.To - s.From
		}
		c.metrics.setLetters(ctx, topic, open)
	}
}
