package kafka_test

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/testkit"
)

// TestTrafficIsCounted by topic, for every client of the process together. Not
// parallel: the meter provider is the process's.
func TestTrafficIsCounted(t *testing.T) {
	metrics := testkit.GlobalMetrics(t)
	brokers, topic := testkit.Kfake(t), testkit.Unique(t, "traffic")
	producer := client(t, brokers)
	if err := kafka.EnsureTopics(t.Context(), producer, []kafka.Topic{{Name: topic}}); err != nil {
		t.Fatal(err)
	}
	const count, size = 10, 100
	for range count {
		record := &kgo.Record{Topic: topic, Value: make([]byte, size)}
		if err := producer.ProduceSync(t.Context(), record).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	consumer := client(t, brokers, kgo.ConsumeTopics(topic))
	for got := 0; got < count; {
		fetches := consumer.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		got += fetches.NumRecords()
	}
	// The client counts a batch a moment after it has told of it.
	var values map[string]float64
	testkit.Eventually(t, "the last batch is counted", func() (counted bool) {
		var err error
		if values, err = metrics.Values(t); err != nil {
			t.Fatal(err)
		}
		return values[fmt.Sprintf("kafka.produced.messages{topic=%s}", topic)] >= count
	})
	for _, direction := range []string{"produced", "consumed"} {
		if n := values[fmt.Sprintf("kafka.%s.messages{topic=%s}", direction, topic)]; n != count {
			t.Errorf("%s %v messages, want %d", direction, n, count)
		}
		// Compressed zeros with the records' own overhead: some bytes for each message.
		if n := values[fmt.Sprintf("kafka.%s.bytes{topic=%s}", direction, topic)]; n < count || n > 2*count*size {
			t.Errorf("%s %v bytes", direction, n)
		}
	}
	if t.Failed() {
		t.Log(values)
	}
}
