package stream_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/message"
)

// TestReplayInTransactions: what an operator's transaction put into the retry
// topic is handled when it has committed and never was when it was aborted; and
// the markers that end the topic keep nobody from its source.
func TestReplayInTransactions(t *testing.T) {
	b := setup(t, 1)
	if err := kafka.EnsureTopics(t.Context(), b.client, []kafka.Topic{{Name: b.retry()}}); err != nil {
		t.Fatal(err)
	}
	operator, err := kgo.NewClient(append(b.opts, kgo.TransactionalID(b.group), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(operator.Close)
	replay := func(value string, end kgo.TransactionEndTry) {
		t.Helper()
		if err := operator.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		r := message.New(b.retry(), "test.v1.Thing", "/test", "a", 1, []byte(value), time.Now()).Record()
		if err := operator.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := operator.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	replay("0", kgo.TryCommit)
	replay("aborted", kgo.TryAbort)
	b.send(0, "a", "1")
	b.run(b.config())
	b.eventually("the source flows behind the markers", func() bool { return len(b.journal.of("a")) == 2 })
	b.eventually("all is committed", func() bool { return b.lag() == 0 })
	if d := cmp.Diff(numbers(2), b.journal.of("a")); d != "" {
		t.Error(d)
	}
}
