package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A broker that does not answer is named in the log after askTimeout, and asked
// again after askAgain.
const (
	askTimeout = 5 * time.Second
	askAgain   = 500 * time.Millisecond
)

// Topic is a topic as it should be.
type Topic struct {
	Name string
	// Partitions wanted; 0 means 1. A topic with fewer is grown, never shrunk.
	Partitions int32
	// Replication factor; 0 means 1. It counts only when the topic is created.
	Replication int16
	// Config such as {"cleanup.policy": "compact"}; it counts only when the
	// topic is created.
	Config map[string]string
}

// Await is EnsureTopics for the start of a service: wait, such as
// service.Host.Wait, says for what.
func Await(ctx context.Context, client *kgo.Client, topics []Topic, wait func(ctx context.Context, what string, probe func(context.Context) error) error) error {
	adm := kadm.NewClient(client)
	return wait(ctx, "kafka at "+seeds(client), func(ctx context.Context) error {
		err := ensureOnce(ctx, adm, topics, func(Topic, bool) {})
		if permanent(err) {
			return &refusal{explain(err)}
		}
		return err
	})
}

// refusal is an error that waiting does not heal.
type refusal struct{ error }

func (r *refusal) Unwrap() error   { return r.error }
func (r *refusal) Permanent() bool { return true }

// EnsureTopics creates the topics that are missing. A broker that is away is
// waited for until ctx ends; each attempt is logged to the client's logger
// (kgo.WithLogger).
func EnsureTopics(ctx context.Context, client *kgo.Client, topics []Topic) error {
	return EnsureTopicsTelling(ctx, client, topics, func(Topic, bool) {})
}

// EnsureTopicsTelling is EnsureTopics that tells which topics it made, or else grew.
func EnsureTopicsTelling(ctx context.Context, client *kgo.Client, topics []Topic, tell func(t Topic, made bool)) error {
	adm := kadm.NewClient(client)
	for {
		err := ensureOnce(ctx, adm, topics, tell)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || permanent(err) {
			return explain(err)
		}
		log(client, "waiting for kafka", "brokers", seeds(client), "error", err)
		select {
		case <-ctx.Done():
			return fmt.Errorf("kafka at %s: %w", seeds(client), err)
		case <-time.After(askAgain):
		}
	}
}

// permanent says that asking again can't help: the broker has answered and
// refused the request for good.
func permanent(err error) bool {
	var ke *kerr.Error
	return errors.As(err, &ke) && !ke.Retriable
}

// explain adds to what a broker refuses what to do about it.
func explain(err error) error {
	var fix string
	switch {
	case errors.Is(err, kerr.SaslAuthenticationFailed), errors.Is(err, kerr.UnsupportedSaslMechanism):
		fix = "check KAFKA_SASL_USER, KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM; `ballast access kafka` makes the users"
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.GroupAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed):
		fix = "`ballast access kafka` gives a user its rights, and a service's `migrate`, run by one that may, makes its topics"
	default:
		return err
	}
	return fmt.Errorf("%w: %s", err, fix)
}

func ensureOnce(ctx context.Context, adm *kadm.Client, topics []Topic, tell func(t Topic, made bool)) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.Name
	}
	have, err := adm.ListTopics(ctx, names...)
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	for _, t := range topics {
		if err := ensureTopic(ctx, adm, t, have[t.Name], tell); err != nil {
			return fmt.Errorf("topic %s: %w", t.Name, err)
		}
	}
	// A topic that was made a moment ago, perhaps by another process, is listed
	// before its leader knows it: who asked for its offsets then would be told that
	// it does not exist.
	ends, err := adm.ListEndOffsets(ctx, names...)
	if err != nil {
		return fmt.Errorf("ends of topics: %w", err)
	}
	if err := ends.Error(); err != nil {
		return fmt.Errorf("ends of topics: %w", err)
	}
	return nil
}

func ensureTopic(ctx context.Context, adm *kadm.Client, t Topic, have kadm.TopicDetail, tell func(t Topic, made bool)) error {
	want := max(t.Partitions, 1)
	switch {
	case errors.Is(have.Err, kerr.UnknownTopicOrPartition):
		config := make(map[string]*string, len(t.Config))
		for k, v := range t.Config {
			config[k] = &v
		}
		_, err := adm.CreateTopic(ctx, want, max(t.Replication, 1), config, t.Name)
		if errors.Is(err, kerr.TopicAlreadyExists) { // Another process was faster.
			return nil
		}
		if err == nil {
			tell(t, true)
		}
		return err
	case have.Err != nil:
		return have.Err
	case len(have.Partitions) < int(want):
		_, err := adm.UpdatePartitions(ctx, int(want), t.Name)
		if err == nil {
			tell(t, false)
		}
		return err
	}
	return nil
}

func seeds(client *kgo.Client) string {
	s, _ := client.OptValue(kgo.SeedBrokers).([]string)
	return strings.Join(s, ",")
}

func log(client *kgo.Client, msg string, keyvals ...any) {
	if l, ok := client.OptValue(kgo.WithLogger).(kgo.Logger); ok && l != nil {
		l.Log(kgo.LogLevelWarn, msg, keyvals...)
	}
}
