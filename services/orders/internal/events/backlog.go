package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"example.com/ballast/pkg/kafka"
	"example.com/ballast/services/orders/internal/order"
)

// Backlog knows how far the consumer groups have read. The sweeper asks it
// before it sends a command again: a command that waits unread in a topic, or
// an answer that does, is not lost, and re-sending it would only add to the
// backlog that delays it.
type Backlog struct {
	Admin *kadm.Client
	// Group is this service's own, which reads the answers.
	Group string
}

// Unread says whether a command of a step, or its answer, that was sent before
// the given time may still wait to be read.
func (b Backlog) Unread(ctx context.Context, step order.Step, before time.Time) (bool, error) {
	commands, answers, participant := InventoryCommands, InventoryEvents, "inventory"
	if step == order.Charge {
		commands, answers, participant = PaymentsCommands, PaymentsEvents, "payments"
	}
	behind, err := b.behind(ctx, participant, commands, before)
	if behind || err != nil {
		return behind, err
	}
	return b.behind(ctx, b.Group, answers, before)
}

// behind says whether the group has still to read anything written to the topic
// before the given time.
func (b Backlog) behind(ctx context.Context, group, topic string, before time.Time) (bool, error) {
	ends, err := b.Admin.ListOffsetsAfterMilli(ctx, before.UnixMilli(), topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return false, fmt.Errorf("offsets of %s: %w", topic, err)
	}
	committed, err := kafka.Committed(ctx, b.Admin, group, topic)
	if err != nil {
		return false, err
	}
	behind := false
	ends.Each(func(end kadm.ListedOffset) {
		at, _ := committed.Lookup(topic, end.Partition)
		behind = behind || max(0, at.At) < end.Offset // -1: nothing was ever committed
	})
	return behind, nil
}

// participants are the groups that read what orders sends, by which it knows how far
// they have come.
func participants() map[string][]string {
	return map[string][]string{"inventory": {InventoryCommands}, "payments": {PaymentsCommands}}
}

// Records is how many messages of unfinished orders wait to be read, here and at
// the participants: what was promised to customers and is not done.
func (b Backlog) Records(ctx context.Context) (int64, error) {
	groups := participants()
	groups[b.Group] = []string{InventoryEvents, PaymentsEvents}
	return unread(ctx, b.Admin, groups)
}

// unread counts what groups have not read of these topics. Retry topics are not
// among them: what is there waits on purpose.
func unread(ctx context.Context, admin *kadm.Client, topics map[string][]string) (sum int64, err error) {
	for group, names := range topics {
		lag, err := kafka.Lag(ctx, admin, group)
		if errors.Is(err, kerr.GroupIDNotFound) {
			continue // it never read, and nobody waits for it yet
		}
		if err != nil {
			return 0, err
		}
		for _, topic := range names {
			for _, n := range lag[topic] {
				sum += n
			}
		}
	}
	return sum, nil
}

// errBehind is why a group has not caught up yet.
var errBehind = errors.New("still reading")

// CaughtUp returns a probe that succeeds once the group has read the topic up
// to where it ended when the probe was first asked.
func CaughtUp(admin *kadm.Client, group, topic string) func(context.Context) error {
	var goal kadm.ListedOffsets
	return func(ctx context.Context) error {
		if goal == nil {
			ends, err := admin.ListEndOffsets(ctx, topic)
			if err == nil {
				err = ends.Error()
			}
			if err != nil {
				return fmt.Errorf("end of %s: %w", topic, err)
			}
			goal = ends
		}
		committed, err := kafka.Committed(ctx, admin, group, topic)
		if err != nil {
			return err
		}
		var left int64
		goal.Each(func(end kadm.ListedOffset) {
			at, _ := committed.Lookup(topic, end.Partition)
			left += max(0, end.Offset-max(0, at.At))
		})
		if left > 0 {
			return fmt.Errorf("%w: %d records of %s to go", errBehind, left, topic)
		}
		return nil
	}
}
