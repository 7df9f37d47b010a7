package stack

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/kafka"
)

// sharedTopic stands for the topics that the replicas of a service share: all of
// them are made with the same number of partitions.
const sharedTopic = "orders.events"

// partition decides how many partitions new topics get: one for each replica,
// unless the user's KAFKA_PARTITIONS says. Topics that are there keep theirs,
// since more would send a key's next records past those that wait; a replica
// beyond them answers calls and consumes nothing.
func (u *upper) partition(ctx context.Context) error {
	login, err := u.adminLogin()
	if err != nil {
		return err
	}
	client, err := kgo.NewClient(append(kafka.Options(u.endpoints.Kafka, "ballast-up"), login.Options()...)...)
	if err != nil {
		return fmt.Errorf("kafka client: %w", err)
	}
	defer client.Close()
	topics, err := kadm.NewClient(client).ListTopics(ctx, sharedTopic)
	if err != nil {
		return fmt.Errorf("ask kafka for its topics: %w", err)
	}
	u.partitions = u.Replicas
	if have := len(topics[sharedTopic].Partitions); have > 0 {
		u.partitions = have
	}
	if u.partitions < u.Replicas {
		u.console.Printf("the topics have been made with %d partition(s): of %d replicas of each service, %d answer calls but consume nothing",
			u.partitions, u.Replicas, u.Replicas-u.partitions)
	}
	return nil
}
