package poison

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/cmd/ballast/internal/drill"
	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/stream"
)

// services whose handlers can be made to panic.
var services = []string{"inventory", "payments", "orders"}

// feed is a topic with the group that consumes it.
type feed struct {
	topic, group, service string
	typ                   string // of a message that belongs there
}

func (f feed) dlq() string   { return kafka.DLQTopic(f.topic, f.group) }
func (f feed) retry() string { return kafka.RetryTopic(f.topic, f.group) }

var feeds = []feed{
	{"inventory.commands", "inventory", "inventory", "inventory.v1.ReserveStock"},
	{"payments.commands", "payments", "payments", "payments.v1.ChargePayment"},
	{"inventory.events", "orders", "orders", "inventory.v1.StockReserved"},
	{"payments.events", "orders", "orders", "payments.v1.PaymentCharged"},
	{"inventory.products", "orders.products", "orders", "inventory.v1.ProductChanged"},
}

// kind is a kind of poison.
type kind string

const (
	notAMessage kind = "no message"
	badBytes    kind = "bad bytes"
	unknownType kind = "unknown type"
	invalid     kind = "invalid content"
	oversize    kind = "oversize"
	panics      kind = "handler panic"
)

var kinds = []kind{notAMessage, badBytes, unknownType, invalid, oversize, panics}

// reason for which it ends in the DLQ.
func (k kind) reason() string {
	switch k {
	case notAMessage:
		return stream.ReasonMalformed
	case oversize:
		return stream.ReasonOversize
	case panics:
		return stream.ReasonFault
	default:
		return stream.ReasonRejected
	}
}

// markHeader tells one poison from another, and from what is none. It is one more
// original header, which must come through as it is.
const markHeader = "poison"

// injected is one poison.
type injected struct {
	feed   feed
	kind   kind
	record *kgo.Record
}

func mark(r *kgo.Record) string {
	for _, h := range r.Headers {
		if h.Key == markHeader {
			return string(h.Value)
		}
	}
	return ""
}

// mix makes a round's share of each kind for each topic, in random order.
func (p *play) mix(ctx context.Context) ([]*injected, error) {
	var all []*injected
	for _, f := range feeds {
		originals, err := p.originals(ctx, f)
		if err != nil {
			return nil, err
		}
		for _, k := range kinds {
			for n := range p.cfg.Count / p.cfg.Rounds {
				r := p.make(ctx, f, k, originals[n%len(originals)])
				id := f.topic + "/" + string(k) + "/" + strconv.Itoa(len(p.injected))
				r.Headers = append(slices.Clone(r.Headers), kgo.RecordHeader{Key: markHeader, Value: []byte(id)})
				p.injected[id] = &injected{f, k, r}
				all = append(all, p.injected[id])
			}
		}
	}
	p.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all, nil
}

// make makes one poison. A panic is a copy of a message that was once handled
// well: a replay must change nothing.
func (p *play) make(ctx context.Context, f feed, k kind, original *kgo.Record) *kgo.Record {
	if k == panics {
		return &kgo.Record{Topic: f.topic, Partition: original.Partition, Key: original.Key, Value: original.Value, Headers: original.Headers}
	}
	key := uuid.NewString()
	for p.struckAnywhere(ctx, key) { // It would panic before it is rejected.
		key = uuid.NewString()
	}
	m := message.New(f.topic, f.typ, "/poison", key, 1, []byte("\x0a\x06nobody"), time.Now())
	switch k {
	case notAMessage:
		return &kgo.Record{Topic: f.topic, Key: m.Key, Value: []byte("{}")}
	case badBytes:
		m.Value = []byte{0xff, 0xff, 0xff}
	case unknownType:
		m.Type = "nobody.v1.Knows"
	case oversize:
		m.Value = bytes.Repeat([]byte("x"), maxRecordBytes+1)
	}
	return m.Record()
}

// originals are the messages that a topic had for orders at which its consumer
// would panic. With few orders, the first of them may be some time in coming.
func (p *play) originals(ctx context.Context, f feed) (found []*kgo.Record, err error) {
	err = p.until(ctx, f.topic+" has a message of an order that a panic would strike", func() (bool, error) {
		records, err := p.read(ctx, f.topic)
		for _, r := range records {
			// Of a compacted topic, there may be left only a copy of an earlier round.
			r.Headers = slices.DeleteFunc(r.Headers, func(h kgo.RecordHeader) bool { return h.Key == markHeader })
			if p.strikes(ctx, f.service, string(r.Key)) {
				found = append(found, r)
			}
		}
		return len(found) > 0, err
	})
	return found, err
}

// inject produces at even distances.
func (p *play) inject(ctx context.Context, all []*injected) error {
	began := time.Now()
	for i, one := range all {
		due := began.Add(p.cfg.Phase * time.Duration(i) / time.Duration(len(all)))
		if err := drill.Sleep(ctx, time.Until(due)); err != nil {
			return err
		}
		if err := p.client.ProduceSync(ctx, one.record).FirstErr(); err != nil {
			return fmt.Errorf("inject into %s: %w", one.feed.topic, err)
		}
	}
	return nil
}
