package kafka

import (
	"context"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// traffic counts what clients send and fetch, once for each batch of a partition.
// Bytes are as compressed: what the network carries and the broker stores.
type traffic struct {
	producedMessages, producedBytes metric.Int64Counter
	consumedMessages, consumedBytes metric.Int64Counter

	topics sync.Map // topic -> metric.MeasurementOption, made once
}

var (
	_ kgo.HookProduceBatchWritten = (*traffic)(nil)
	_ kgo.HookFetchBatchRead      = (*traffic)(nil)
)

func newTraffic() *traffic {
	meter := otel.Meter("example.com/ballast/pkg/kafka")
	return &traffic{
		producedMessages: newProducedMessagesCounter(meter), producedBytes: newProducedBytesCounter(meter),
		consumedMessages: newConsumedMessagesCounter(meter), consumedBytes: newConsumedBytesCounter(meter),
	}
}

// OnProduceBatchWritten implements kgo.HookProduceBatchWritten.
func (t *traffic) OnProduceBatchWritten(_ kgo.BrokerMetadata, topic string, _ int32, m kgo.ProduceBatchMetrics) {
	t.count(topic, t.producedMessages, m.NumRecords, t.producedBytes, m.CompressedBytes)
}

// OnFetchBatchRead implements kgo.HookFetchBatchRead.
func (t *traffic) OnFetchBatchRead(_ kgo.BrokerMetadata, topic string, _ int32, m kgo.FetchBatchMetrics) {
	t.count(topic, t.consumedMessages, m.NumRecords, t.consumedBytes, m.CompressedBytes)
}

func (t *traffic) count(topic string, messages metric.Int64Counter, n int, bytes metric.Int64Counter, size int) {
	attributes, ok := t.topics.Load(topic)
	if !ok {
		attributes, _ = t.topics.LoadOrStore(topic, metric.WithAttributeSet(attribute.NewSet(attribute.String("topic", topic))))
	}
	by := attributes.(metric.MeasurementOption) //nolint:forcetypeassert // nothing else is stored
	ctx := context.Background()                 //nolint:forbidigo // A client's hook is called for itself: no caller's context reaches it.
	messages.Add(ctx, int64(n), by)
	bytes.Add(ctx, int64(size), by)
}
