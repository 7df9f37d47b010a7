package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"example.com/ballast/pkg/lease"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/testkit"
)

func TestMain(m *testing.M) {
	if os.Getenv(childURL) != "" {
		child() // This is the process that a test starts, pauses and kills.
	}
	testkit.Main(m)
}

var migrations = fstest.MapFS{"00001_outbox.sql": {Data: []byte("-- +goose Up\n" + lease.Schema + Schema + DeadSchema)}}

// bundle is what a test of the relay works with.
type bundle struct {
	t       testing.TB
	url     string
	pool    *pgxpool.Pool
	brokers []string
	client  *kgo.Client
	topic   string
}

func setup(t testing.TB) *bundle {
	t.Helper()
	url := testkit.PostgresURL(t, migrations)
	return setupOn(t, url, openPool(t, url), testkit.Kafka(t))
}

func setupOn(t testing.TB, url string, pool *pgxpool.Pool, brokers []string) *bundle {
	t.Helper()
	b := &bundle{t: t, url: url, pool: pool, brokers: brokers, topic: testkit.Unique(t, "events")}
	b.client = b.newClient()
	b.createTopic(b.topic)
	return b
}

func openPool(t testing.TB, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := pg.Open(t.Context(), pg.Config{URL: url, App: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func (b *bundle) newClient(opts ...kgo.Opt) *kgo.Client {
	b.t.Helper()
	client, err := kgo.NewClient(append(append(ProducerOptions(), kgo.SeedBrokers(b.brokers...)), opts...)...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(client.Close)
	return client
}

func (b *bundle) createTopic(topic string) {
	b.t.Helper()
	if _, err := kadm.NewClient(b.client).CreateTopic(b.t.Context(), 2, 1, nil, topic); err != nil {
		b.t.Fatal(err)
	}
}

// relay returns a relay that was not started.
func (b *bundle) relay(holder string) *Relay {
	l := lease.New(b.pool, "outbox", holder, 2*time.Second)
	l.Logger = quiet
	return NewRelay(Config{Pool: b.pool, Client: b.client, Lease: l, Logger: quiet})
}

var quiet = slog.New(slog.DiscardHandler)

// run starts the relay and returns a function that stops it.
func (b *bundle) run(r *Relay) (stop func()) {
	ctx, cancel := context.WithCancel(b.t.Context())
	var g errgroup.Group
	g.Go(func() error { return r.Run(ctx) })
	stop = sync.OnceFunc(func() {
		cancel()
		if err := g.Wait(); err != nil {
			b.t.Error(err)
		}
	})
	b.t.Cleanup(stop)
	return stop
}

// msg is version n of the aggregate key.
func (b *bundle) msg(key string, n int64) message.Message {
	return message.New(b.topic, "test.Event", "/test", key, n, []byte(key), time.Now())
}

// queue commits one transaction with the messages.
func (b *bundle) queue(msgs ...message.Message) {
	b.t.Helper()
	if err := b.tryQueue(msgs...); err != nil {
		b.t.Fatal(err)
	}
}

// tryQueue is queue for goroutines other than the test's.
func (b *bundle) tryQueue(msgs ...message.Message) error {
	batch := &pgx.Batch{}
	Queue(b.t.Context(), batch, msgs)
	return b.pool.SendBatch(b.t.Context(), batch).Close()
}

func (b *bundle) count(table string) (n int) {
	b.t.Helper()
	if err := b.pool.QueryRow(b.t.Context(), "select count(*) from "+table).Scan(&n); err != nil {
		b.t.Fatal(err)
	}
	return n
}

func (b *bundle) empty() bool { return b.count("outbox") == 0 }

// log reads the versions of each key that a topic holds, in order.
func (b *bundle) log(topic string) map[string][]int64 {
	b.t.Helper()
	ends, err := kadm.NewClient(b.client).ListEndOffsets(b.t.Context(), topic)
	if err != nil {
		b.t.Fatal(err)
	}
	var left int64
	ends.Each(func(o kadm.ListedOffset) { left += o.Offset })
	reader := b.newClient(kgo.ConsumeTopics(topic), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))
	defer reader.Close()
	got := map[string][]int64{}
	for left > 0 {
		fetches := reader.PollFetches(b.t.Context())
		if err := fetches.Err0(); err != nil {
			b.t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			left--
			m, err := message.FromRecord(r)
			if err != nil {
				b.t.Fatal(err)
			}
			got[string(r.Key)] = append(got[string(r.Key)], m.Version)
		})
	}
	return got
}

// inOrder fails the test unless the versions of each key are 1..n, allowing for
// repetitions: what a consumer sees that drops versions it has applied. It
// returns how many repetitions there were.
func inOrder(t testing.TB, log map[string][]int64, keys int, n int64) (repeated int) {
	t.Helper()
	if len(log) != keys {
		t.Errorf("%d keys in the log; want %d", len(log), keys)
	}
	for key, versions := range log {
		var applied int64
		for _, v := range versions {
			switch {
			case v <= applied:
				repeated++
			case v == applied+1:
				applied = v
			default:
				t.Errorf("key %s: version %d follows %d: %v", key, v, applied, versions)
			}
		}
		if applied != n {
			t.Errorf("key %s: versions up to %d; want %d", key, applied, n)
		}
	}
	return repeated
}

func key(i int) string { return "key-" + strconv.Itoa(i) }

// Environment of the child process.
const childURL, childBrokers = "OUTBOX_TEST_URL", "OUTBOX_TEST_BROKERS"

// child runs a relay until it is killed.
func child() {
	ctx := context.Background()
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
	pool, err := pg.Open(ctx, pg.Config{URL: os.Getenv(childURL), App: "child", Logger: logger})
	if err != nil {
		fail(err)
	}
	client, err := kgo.NewClient(append(ProducerOptions(), kgo.SeedBrokers(os.Getenv(childBrokers)))...)
	if err != nil {
		fail(err)
	}
	l := lease.New(pool, "outbox", "child", time.Second)
	l.Logger = logger
	fail(NewRelay(Config{Pool: pool, Client: client, Lease: l, Logger: logger}).Run(ctx))
}
