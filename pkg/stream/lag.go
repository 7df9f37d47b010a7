package stream

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"example.com/ballast/pkg/kafka"
)

// lagEvery is how often the lag is looked up, in a few small requests.
const lagEvery = time.Second

// Lag is how many records of its topics the group had not finished a moment ago:
// waiting, or in the hands of a handler. What waits in retry topics does not
// count, because it waits for a time and not for a consumer. It may be called at
// any time.
func (c *Consumer) Lag() int64 { return c.lag.Load() }

// watchLag looks the group's lag up until ctx ends. It asks the brokers and not
// the polls, because a consumer that is paused does not poll, and that is when
// its lag grows. While no broker answers, the last answer stays.
func (c *Consumer) watchLag(ctx context.Context) {
	admin := kadm.NewClient(c.client)
	for ; ctx.Err() == nil; sleep(ctx, lagEvery) {
		ask, cancel := context.WithTimeout(ctx, askTimeout)
		lag, err := kafka.Lag(ask, admin, c.cfg.Group)
		cancel()
		if err != nil {
			continue // The loop and the client name the broker that is away.
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
	}
}
