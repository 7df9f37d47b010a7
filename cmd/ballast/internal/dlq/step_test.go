package dlq

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"example.com/ballast/pkg/kafka"
)

// TestStepIsTakenBack: a step whose time is over leaves no transaction open, in
// which the group would wait for the broker to end it.
func TestStepIsTakenBack(t *testing.T) {
	t.Parallel()
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "things.group.retry"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	// The coordinator has nothing to say, until the step's time is over.
	broker.ControlKey(int16(kmsg.TxnOffsetCommit), func(req kmsg.Request) (kmsg.Response, error, bool) {
		broker.KeepControl()
		commit, _ := req.(*kmsg.TxnOffsetCommitRequest)
		res, _ := commit.ResponseKind().(*kmsg.TxnOffsetCommitResponse)
		p := kmsg.NewTxnOffsetCommitResponseTopicPartition()
		p.ErrorCode = 14 // COORDINATOR_LOAD_IN_PROGRESS
		res.Topics = []kmsg.TxnOffsetCommitResponseTopic{{Topic: "things.group.dlq", Partitions: []kmsg.TxnOffsetCommitResponseTopicPartition{p}}}
		return res, nil, true
	})
	d, err := NewDesk(kafka.Login{}, broker.ListenAddrs()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	s, err := d.newStepper(t.Context(), Box{Name: "things.group.dlq", Group: "group"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.client.Close)
	s.timeout = time.Second
	if err := s.step(t.Context(), 0, 1, []*kgo.Record{{Topic: "things.group.retry", Value: []byte("x")}}); err == nil {
		t.Fatal("the step succeeded without its coordinator")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if ends, err := d.admin.ListEndOffsets(ctx, "things.group.retry"); err != nil || ends["things.group.retry"][0].Offset == 0 {
		t.Fatalf("nothing was written: %v, %v", ends, err)
	}
	if err := d.readable(ctx, "things.group.retry"); err != nil {
		t.Error(err)
	}
}
