package queuetime

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/message"
)

// group reads commands and makes events.
const group, commands, events = "inventory", "inventory.commands", "inventory.events"

// record is one of them.
type record struct {
	message.Message

	written time.Time
}

// question is a command's type in words that its answer has too.
func question(kind string) string {
	switch kind {
	case "inventory.v1.ReserveStock", "inventory.v1.StockReserved", "inventory.v1.StockRejected":
		return "reserve"
	case "inventory.v1.ScheduleShipment", "inventory.v1.ShipmentScheduled", "inventory.v1.ShipmentRefused":
		return "ship"
	default:
		return kind
	}
}

// read reads both topics from end to end, in no group, and joins each command with
// its answer: the first with the first where one was sent twice.
func read(ctx context.Context, brokers []string) ([]wait, error) {
	asked, err := readTopic(ctx, brokers, commands)
	if err != nil {
		return nil, err
	}
	answered, err := readTopic(ctx, brokers, events)
	if err != nil {
		return nil, err
	}
	type key struct{ order, what string }
	answersOf := map[key][]record{}
	for _, a := range answered {
		k := key{string(a.Key), question(a.Type)}
		answersOf[k] = append(answersOf[k], a)
	}
	var waits []wait
	for _, c := range asked {
		k := key{string(c.Key), question(c.Type)}
		if len(answersOf[k]) == 0 {
			return nil, fmt.Errorf("%s of order %s has no answer", c.Type, k.order)
		}
		waits = append(waits, wait{order: k.order, made: c.Time, written: c.written, answered: answersOf[k][0].Time})
		answersOf[k] = answersOf[k][1:]
	}
	return waits, nil
}

// readTopic reads a topic from its beginning to its present end.
func readTopic(ctx context.Context, brokers []string, topic string) ([]record, error) {
	client, err := kgo.NewClient(append(kafka.Options(brokers, "ballast-drill"), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", topic, err)
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("end of %s: %w", topic, err)
	}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	var all []record
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("read %s: %w", topic, err)
		}
		for r := range fetches.RecordsAll() {
			m, err := message.FromRecord(r)
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", topic, err)
			}
			all = append(all, record{m, r.Timestamp})
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		}
	}
	return all, nil
}
