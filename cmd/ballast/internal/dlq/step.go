package dlq

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/stream"
)

const (
	// txnTimeout is after how long the broker ends the transaction of a tool that
	// stands still. Until then the group's consumer reads nothing of its retry
	// topic that came after it, so it is short; a step takes milliseconds.
	txnTimeout = 10 * time.Second
	// stepTimeout ends a step before its transaction does.
	stepTimeout = 8 * time.Second
	// abortTimeout is for taking back a step that failed, which it may have done
	// because its own time was over.
	abortTimeout = 2 * time.Second
	// again is the pause before it is asked again whether a transaction is over.
	again = 50 * time.Millisecond
	// maxLetterBytes is what stream.ReplayOptions let a producer write: twice a
	// broker's default maximum, so there is room for the headers of a discard.
	maxLetterBytes = 2 << 20
)

// TransactionPrefix begins the transactional id of whoever moves letters; the name of
// their box follows.
const TransactionPrefix = "ballast-dlq."

// ErrTakenOver says that another operator began to work off the same letters,
// or that this tool stood still for longer than a transaction may.
var ErrTakenOver = errors.New("another operator has taken these letters over, or this tool stood still for too long: " +
	"what it had committed stays, the step that it was at did not happen; list what is left and run it again")

// stepper moves letters of one box in transactions.
type stepper struct {
	box    Box
	client *kgo.Client
	// timeout of a step.
	timeout time.Duration
	// beforeCommit is a test's: when a step has written and not committed.
	beforeCommit func()
}

// newStepper fences whoever else moves letters of the box.
func (d *Desk) newStepper(ctx context.Context, b Box) (*stepper, error) {
	client, err := kgo.NewClient(append(append(d.opts, stream.ReplayOptions()...),
		kgo.TransactionalID(TransactionPrefix+b.Name), kgo.TransactionTimeout(txnTimeout),
		// The offsets are committed by hand, in the requests of before Kafka 4.0:
		// the client does not tell whether it follows KIP-890, under which the
		// broker adds a group to a transaction by itself.
		kgo.MaxVersions(kversion.V3_9_0()),
	)...)
	if err != nil {
		return nil, fmt.Errorf("transactional client: %w", err)
	}
	s := &stepper{box: b, client: client, timeout: stepTimeout, beforeCommit: d.beforeCommit}
	if _, _, err := client.ProducerID(ctx); err != nil {
		client.Close()
		return nil, fmt.Errorf("begin to work off %s: %w", b.Name, err)
	}
	return s, nil
}

// step writes the records and commits that everything below next is decided:
// all of it or nothing. It does not end early when ctx does, so that a Ctrl-C
// leaves no transaction open.
func (s *stepper) step(ctx context.Context, partition int32, next int64, records []*kgo.Record) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
	defer cancel()
	if err := s.client.BeginTransaction(); err != nil {
		return s.lost(fmt.Errorf("begin a transaction: %w", err))
	}
	err := s.client.ProduceSync(ctx, records...).FirstErr()
	if err == nil {
		err = s.commitOffset(ctx, partition, next)
	}
	if err == nil {
		if s.beforeCommit != nil {
			s.beforeCommit()
		}
		err = s.client.EndTransaction(ctx, kgo.TryCommit)
	}
	if err == nil {
		return nil
	}
	err = s.lost(fmt.Errorf("move letters of %s/%d: %w", s.box.Name, partition, err))
	if !errors.Is(err, ErrTakenOver) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
		defer cancel()
		err = errors.Join(err, s.client.EndTransaction(ctx, kgo.TryAbort))
	}
	return err
}

// lost names the errors by which a broker says that the transactional id is
// somebody else's. Ending the transaction would only end theirs.
func (s *stepper) lost(err error) error {
	for _, fenced := range []error{kerr.ProducerFenced, kerr.InvalidProducerEpoch, kerr.InvalidProducerIDMapping, kerr.InvalidTxnState} {
		if errors.Is(err, fenced) {
			return fmt.Errorf("%s: %w (%w)", s.box.Name, ErrTakenOver, err)
		}
	}
	return err
}

// commitOffset puts the operators' offset into the transaction.
func (s *stepper) commitOffset(ctx context.Context, partition int32, next int64) error {
	id, epoch, err := s.client.ProducerID(ctx)
	if err != nil {
		return err
	}
	txn, _ := s.client.OptValue(kgo.TransactionalID).(string)
	add := kmsg.NewPtrAddOffsetsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = txn, id, epoch, s.box.operators()
	commit := kmsg.NewPtrTxnOffsetCommitRequest()
	commit.TransactionalID, commit.ProducerID, commit.ProducerEpoch, commit.Group = txn, id, epoch, s.box.operators()
	commit.Generation = -1 // The group has no members.
	p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset = partition, next
	t := kmsg.NewTxnOffsetCommitRequestTopic()
	t.Topic, t.Partitions = s.box.Name, append(t.Partitions, p)
	commit.Topics = append(commit.Topics, t)
	if err := kafka.Patiently(ctx, func() error {
		res, err := add.RequestWith(ctx, s.client)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(res.ErrorCode)
	}); err != nil {
		return fmt.Errorf("add group %s to the transaction: %w", s.box.operators(), err)
	}
	if err := kafka.Patiently(ctx, func() error {
		res, err := commit.RequestWith(ctx, s.client)
		if err != nil {
			return err
		}
		for _, t := range res.Topics {
			for _, p := range t.Partitions {
				err = errors.Join(err, kerr.ErrorForCode(p.ErrorCode))
			}
		}
		return err
	}); err != nil {
		return fmt.Errorf("commit the offset of group %s: %w", s.box.operators(), err)
	}
	return nil
}

// tidy waits until what was committed can be read, and deletes what is decided.
// The broker answers a commit before its markers are in all logs.
func (d *Desk) tidy(ctx context.Context, b Box, written ...string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), txnTimeout)
	defer cancel()
	for _, topic := range append(written, b.Name) {
		if err := d.readable(ctx, topic); err != nil {
			return err
		}
	}
	decided, err := kafka.Committed(kadm.RequireStable(ctx), d.admin, b.operators(), b.Name)
	if err != nil {
		return err
	}
	var done kadm.Offsets
	decided.Each(func(o kadm.OffsetResponse) {
		if o.At > 0 {
			done.Add(o.Offset)
		}
	})
	deleted, err := d.admin.DeleteRecords(ctx, done)
	if err == nil {
		err = deleted.Error()
	}
	if err != nil {
		return fmt.Errorf("the letters were moved, and could not be deleted from %s: %w", b.Name, err)
	}
	return nil
}

// readable waits until no transaction hides the end of a topic as it is now.
func (d *Desk) readable(ctx context.Context, topic string) error {
	ends, err := d.admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return fmt.Errorf("end of %s: %w", topic, err)
	}
	for {
		stable, err := d.admin.ListCommittedOffsets(ctx, topic)
		if err != nil {
			return fmt.Errorf("end of %s: %w", topic, err)
		}
		hidden := false
		ends.Each(func(end kadm.ListedOffset) {
			at, _ := stable.Lookup(topic, end.Partition)
			hidden = hidden || at.Offset < end.Offset
		})
		if !hidden {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("end of %s: a transaction stays open: %w", topic, ctx.Err())
		case <-time.After(again):
		}
	}
}
