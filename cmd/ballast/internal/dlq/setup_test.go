package dlq

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/config"
	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/stream"
	"example.com/ballast/pkg/testkit"
)

// Environment of the operator that a test kills.
const childBrokers, childGroup = "DLQ_TEST_BROKERS", "DLQ_TEST_GROUP"

func TestMain(m *testing.M) {
	if os.Getenv(childBrokers) != "" {
		child()
		return
	}
	testkit.Main(m)
}

// child replays all letters of a group, one in a step, and stops for ever in the
// second one, when it has written and not committed.
func child() {
	d, err := NewDesk(kafka.Login{}, strings.Split(os.Getenv(childBrokers), ",")...)
	if err != nil {
		panic(err)
	}
	steps := 0
	d.beforeCommit = func() {
		if steps++; steps == 2 {
			fmt.Println("written")
			select {}
		}
	}
	o := Options{From: Open, Filter: Filter{Group: os.Getenv(childGroup)}, Rate: 1}
	_, err = d.Replay(context.Background(), o, DefaultMaxReplays)
	panic(fmt.Sprint("the child was not killed: ", err))
}

// bench is a topic with a group that consumes it and rejects the values that are
// marked as bad, until it is mended.
type bench struct {
	*Desk

	t            *testing.T
	brokers      []string
	topic, group string
	opts         []kgo.Opt
	client       *kgo.Client

	mu      sync.Mutex
	mended  bool
	handled map[string]int // calls of the handler by message id
	effects map[string]int // what an idempotent handler did, by message id
}

func setup(t *testing.T) *bench {
	t.Helper()
	t.Parallel()
	b := &bench{
		t: t, topic: testkit.Unique(t, "things.commands"), group: testkit.Unique(t, "group"), brokers: testkit.Kafka(t),
		handled: map[string]int{}, effects: map[string]int{},
	}
	b.Desk = b.desk()
	b.opts = kafka.Options(b.brokers, "test")
	var err error
	if b.client, err = kgo.NewClient(append(b.opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.client.Close)
	if err := kafka.EnsureTopics(t.Context(), b.client, []kafka.Topic{{Name: b.topic, Partitions: 2}}); err != nil {
		t.Fatal(err)
	}
	return b
}

// desk is a further operator's.
func (b *bench) desk() *Desk {
	b.t.Helper()
	d, err := NewDesk(kafka.Login{}, b.brokers...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(d.Close)
	return d
}

// consume runs the group until the test ends.
func (b *bench) consume() {
	b.t.Helper()
	settings, err := config.Parse[kafka.Settings](map[string]string{"KAFKA_BROKERS": strings.Join(b.brokers, ","), "KAFKA_SESSION_TIMEOUT": "2s"})
	if err != nil {
		b.t.Fatal(err)
	}
	c, err := stream.New(stream.Config{
		Kafka: settings,
		Group: b.group, Topics: []string{b.topic}, Handler: b.handle, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	b.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.t.Error(err)
		}
	})
}

func (b *bench) handle(_ context.Context, batch []stream.Record) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var errs []error
	for i, r := range batch {
		if strings.HasPrefix(string(r.Value), "bad") && !b.mended {
			errs = append(errs, stream.Reject(i, errors.New("bad value")))
		}
	}
	if errs != nil {
		return errors.Join(errs...)
	}
	for _, r := range batch {
		b.handled[r.ID]++
		b.effects[r.ID] = 1
	}
	return nil
}

func (b *bench) mend() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mended = true
}

// count returns how many messages were handled, how often in all, and how many
// effects that had.
func (b *bench) count() (messages, calls, effects int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, n := range b.handled {
		messages, calls, effects = messages+1, calls+n, effects+b.effects[id]
	}
	return messages, calls, effects
}

// send sends a message of a type and returns its id.
func (b *bench) send(partition int32, key, typ, value string) string {
	b.t.Helper()
	m := message.New(b.topic, typ, "/test", key, 1, []byte(value), time.Now())
	m.Extra = []kgo.RecordHeader{{Key: "color", Value: []byte{0xff, 0}}, {Key: "color", Value: nil}}
	r := m.Record()
	r.Partition = partition
	b.produce(r)
	return m.ID
}

func (b *bench) produce(r *kgo.Record) {
	b.t.Helper()
	if err := b.client.ProduceSync(b.t.Context(), r).FirstErr(); err != nil {
		b.t.Fatal(err)
	}
}

// bury sends n bad messages of both partitions, and waits until they are dead.
func (b *bench) bury(n int) (ids []string) {
	b.t.Helper()
	for i := range n {
		ids = append(ids, b.send(int32(i%2), fmt.Sprint("key-", i), "test.v1.Bad", "bad"))
	}
	b.eventually("they are dead", func() bool { return len(b.list(Open, Filter{})) == n })
	return ids
}

// list returns the group's letters.
func (b *bench) list(kind Kind, f Filter) []*Letter {
	b.t.Helper()
	var letters []*Letter
	f.Group = b.group
	if err := b.Each(b.t.Context(), kind, f, func(l *Letter) error { letters = append(letters, l); return nil }); err != nil {
		b.t.Fatal(err)
	}
	return letters
}

// options takes all letters of the group.
func (b *bench) options() Options { return Options{From: Open, Filter: Filter{Group: b.group}} }

func (b *bench) replay(o Options) *Report {
	b.t.Helper()
	r, err := b.Replay(b.t.Context(), o, DefaultMaxReplays)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// read returns what was committed to a topic, by partition and offset.
func (b *bench) read(topic string) []*kgo.Record {
	b.t.Helper()
	ends, err := b.admin.ListCommittedOffsets(b.t.Context(), topic)
	if err != nil {
		b.t.Fatal(err)
	}
	var records []*kgo.Record
	for p := range int32(len(ends[topic])) {
		end, _ := ends.Lookup(topic, p)
		if _, err := b.scan(b.t.Context(), topic, span{p, 0, end.Offset}, func(r *kgo.Record) error {
			records = append(records, r)
			return nil
		}); err != nil {
			b.t.Fatal(err)
		}
	}
	return records
}

// lag of a group in a topic.
func (b *bench) lag(group, topic string) (n int64) {
	b.t.Helper()
	lags, err := kafka.Lag(b.t.Context(), kadm.NewClient(b.client), group)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, l := range lags[topic] {
		n += l
	}
	return n
}

func (b *bench) eventually(what string, ok func() bool) {
	b.t.Helper()
	testkit.Eventually(b.t, what, ok)
}

func ids(letters []*Letter) map[string]bool {
	set := map[string]bool{}
	for _, l := range letters {
		set[l.ID] = true
	}
	return set
}

// startChild runs an operator that stops between writing and committing its
// second step, and returns when it has got there.
func (b *bench) startChild() *exec.Cmd {
	b.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.Command(exe) //nolint:gosec // this test binary
	cmd.Env = append(os.Environ(), childBrokers+"="+strings.Join(b.brokers, ","), childGroup+"="+b.group)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = cmd.Process.Kill() }) // It may have ended already.
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "written\n" {
		b.t.Fatalf("the child says %q, %v", line, err)
	}
	return cmd
}
