package kafka_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/testkit"
)

func client(t *testing.T, brokers []string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append(kafka.Options(brokers, "test"), opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestNames(t *testing.T) {
	t.Parallel()
	got := []string{kafka.RetryTopic("orders.events", "payments"), kafka.DLQTopic("orders.events", "payments")}
	if d := cmp.Diff([]string{"orders.events.payments.retry", "orders.events.payments.dlq"}, got); d != "" {
		t.Error(d)
	}
}

// TestEnsureTopics: missing topics are made, others are grown or left alone.
func TestEnsureTopics(t *testing.T) {
	t.Parallel()
	c := client(t, testkit.Kafka(t))
	plain, compact := testkit.Unique(t, "plain"), testkit.Unique(t, "compact")
	ensure := func(partitions int32) {
		t.Helper()
		err := kafka.EnsureTopics(t.Context(), c, []kafka.Topic{
			{Name: plain, Partitions: partitions},
			{Name: compact, Config: map[string]string{"cleanup.policy": "compact"}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	adm := kadm.NewClient(c)
	for _, step := range []struct {
		partitions int32
		want       int
	}{{2, 2}, {2, 2}, {3, 3}, {1, 3}} {
		ensure(step.partitions)
		testkit.Eventually(t, "topics as wanted", func() bool {
			have, err := adm.ListTopics(t.Context(), plain, compact)
			return err == nil && len(have[plain].Partitions) == step.want && len(have[compact].Partitions) == 1
		})
	}
	configs, err := adm.DescribeTopicConfigs(t.Context(), compact)
	if err != nil {
		t.Fatal(err)
	}
	for _, config := range configs[0].Configs {
		if config.Key == "cleanup.policy" && config.MaybeValue() != "compact" {
			t.Errorf("cleanup.policy is %s", config.MaybeValue())
		}
	}
}

// TestEnsureTopicsRefused: what can't become right by waiting is not waited for.
func TestEnsureTopicsRefused(t *testing.T) {
	t.Parallel()
	c := client(t, testkit.Kafka(t))
	err := kafka.EnsureTopics(t.Context(), c, []kafka.Topic{{Name: testkit.Unique(t, "topic"), Replication: 99}})
	if !errors.Is(err, kerr.InvalidReplicationFactor) {
		t.Errorf("error %v, want an invalid replication factor", err)
	}
}

// TestEnsureTopicsAwaitsLeaders: a topic is there when its leader says so, not
// when it is listed.
func TestEnsureTopicsAwaitsLeaders(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	var refused atomic.Int32
	cluster.ControlKey(int16(kmsg.ListOffsets), func(req kmsg.Request) (kmsg.Response, error, bool) {
		refused.Add(1)
		ask := req.(*kmsg.ListOffsetsRequest) //nolint:forcetypeassert // of that key
		res := ask.ResponseKind().(*kmsg.ListOffsetsResponse)
		for _, t := range ask.Topics {
			topic := kmsg.NewListOffsetsResponseTopic()
			topic.Topic = t.Topic
			for _, p := range t.Partitions {
				partition := kmsg.NewListOffsetsResponseTopicPartition()
				partition.Partition, partition.ErrorCode = p.Partition, kerr.UnknownTopicOrPartition.Code
				topic.Partitions = append(topic.Partitions, partition)
			}
			res.Topics = append(res.Topics, topic)
		}
		return res, nil, true // once: the next one reaches the broker
	})
	if err := kafka.EnsureTopics(t.Context(), client(t, cluster.ListenAddrs()), []kafka.Topic{{Name: "new"}}); err != nil {
		t.Fatal(err)
	}
	if refused.Load() != 1 {
		t.Error("the leader was not asked")
	}
}

// TestEnsureTopicsWaits names the broker that is away, in the log and in the end
// in the error.
func TestEnsureTopicsWaits(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	c := client(t, []string{"127.0.0.1:1"}, kgo.RequestRetries(0), kgo.WithLogger(kafka.Logger(slog.New(slog.NewTextHandler(&log, nil)))))
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := kafka.EnsureTopics(ctx, c, []kafka.Topic{{Name: "t"}})
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("error %v does not name the broker", err)
	}
	c.Close() // It logs no more.
	if !strings.Contains(log.String(), "waiting for kafka") || !strings.Contains(log.String(), "127.0.0.1:1") {
		t.Errorf("log does not name the broker: %s", log.String())
	}
}

func TestLag(t *testing.T) {
	t.Parallel()
	brokers := testkit.Kafka(t)
	topic, group := testkit.Unique(t, "topic"), testkit.Unique(t, "group")
	c := client(t, brokers)
	if err := kafka.EnsureTopics(t.Context(), c, []kafka.Topic{{Name: topic}}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: topic}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	adm := kadm.NewClient(c)
	var at kadm.Offsets
	at.AddOffset(topic, 0, 1, -1)
	if err := adm.CommitAllOffsets(t.Context(), group, at); err != nil {
		t.Fatal(err)
	}
	lag, err := kafka.Lag(t.Context(), adm, group)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]map[int32]int64{topic: {0: 2}}, lag); d != "" {
		t.Error(d)
	}
}
