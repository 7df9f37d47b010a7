package stream_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/message"
)

// TestOversizeUnpacked: a record that its source topic took compressed, and
// that is larger than 2 MiB unpacked, must not hold up its partition for ever.
func TestOversizeUnpacked(t *testing.T) {
	b := setup(t, 1)
	producer, err := kgo.NewClient(append(kafka.Options(b.brokers, "foreign"),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(16<<20))...)
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	b.run(b.config())
	zeros := message.New(b.topic, "test.v1.Thing", "/test", "b", 1, make([]byte, 3<<20), time.Now()).Record()
	if err := producer.ProduceSync(t.Context(), zeros).FirstErr(); err != nil {
		t.Fatal("the source took it not:", err)
	}
	b.send(0, "c", "fits")
	b.eventually("what comes behind it is handled", func() bool { return b.journal.count() == 1 })
}
