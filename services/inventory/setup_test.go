package main

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"

	"example.com/ballast/gen/inventory/v1/inventoryv1connect"
	"example.com/ballast/pkg/config"
	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/servers"
	"example.com/ballast/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// bundle is an inventory to run and what a test needs to talk to it.
type bundle struct {
	cfg                Config
	producer           *kgo.Client
	database           *database
	token              string // the operator's
	operator, customer inventoryv1connect.InventoryServiceClient
}

func newBundle(t *testing.T) *bundle {
	t.Helper()
	keys, err := edge.NewKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	_, public, err := keys.PEM()
	if err != nil {
		t.Fatal(err)
	}
	keyFile := filepath.Join(t.TempDir(), "public.pem")
	if err := os.WriteFile(keyFile, public, 0o600); err != nil {
		t.Fatal(err)
	}
	brokers := testkit.Kafka(t)
	database := newDatabase(t)
	cfg, err := config.Parse[Config](map[string]string{
		"POSTGRES_URL": database.process.URL, "POSTGRES_MIGRATION_URL": database.process.URL, "KAFKA_BROKERS": brokers[0],
		"REDIS_URL": "redis://" + testkit.Redis(t) + "/0", "JWT_PUBLIC_KEY_FILE": keyFile,
		"LISTEN_ADDR": freeAddr(t), "ADMIN_ADDR": freeAddr(t), "LOG_LEVEL": "warn",
	})
	if err != nil {
		t.Fatal(err)
	}
	producer, err := kgo.NewClient(kafka.Options(brokers, "test")...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(producer.Close)
	client := func(id edge.Identity) inventoryv1connect.InventoryServiceClient {
		token, err := edge.Sign(keys.Private, id, time.Now(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return inventoryv1connect.NewInventoryServiceClient(edge.NewClient("http://"+cfg.ListenAddr, token))
	}
	token, err := edge.Sign(keys.Private, edge.Identity{Customer: "op", Operator: true}, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return &bundle{
		token: token,
		cfg:   cfg, producer: producer, database: database,
		operator: client(edge.Identity{Customer: "op", Operator: true}),
		customer: client(edge.Identity{Customer: "c1"}),
	}
}

// database is a server of the test's own, which it may stop.
type database struct {
	process servers.Process
	running *servers.Running
}

func newDatabase(t *testing.T) *database {
	t.Helper()
	dir, err := os.MkdirTemp("", "ballast-inventory-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // the server may run as another user
		t.Fatal(err)
	}
	d := &database{}
	if d.process, err = (servers.Postgres{Dir: filepath.Join(dir, "data"), Settings: map[string]string{"fsync": "off"}}).Process(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.start(t)
	t.Cleanup(func() {
		d.running.Kill()
		_ = os.RemoveAll(dir)
	})
	return d
}

func (d *database) start(t *testing.T) {
	t.Helper()
	var err error
	if d.running, err = servers.Start(t.Context(), d.process, io.Discard); err != nil {
		t.Fatal(err)
	}
}

func (d *database) stop(t *testing.T) {
	t.Helper()
	if err := d.running.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// start runs the service until the returned function stops it.
func (b *bundle) start(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx, b.cfg) }()
	stopped := false
	stop = func() {
		cancel()
		if stopped {
			return
		}
		stopped = true
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// freeAddr returns an address that nobody listens on at the moment.
func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().String()
}

// send produces commands as orders would, in order.
func (b *bundle) send(t *testing.T, order string, payloads ...proto.Message) {
	t.Helper()
	for _, p := range payloads {
		value, err := proto.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		name := string(p.ProtoReflect().Descriptor().FullName())
		m := message.New("inventory.commands", name, "/orders", order, 0, value, time.Now())
		if err := b.producer.ProduceSync(t.Context(), m.Record()).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// records follows a topic from its start.
func (b *bundle) records(t *testing.T, topic string) *follower {
	t.Helper()
	client, err := kgo.NewClient(append(b.cfg.Kafka.Options("test"),
		kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &follower{t, client}
}

type follower struct {
	t      *testing.T
	client *kgo.Client
}

// next returns the next records until there are n that pass.
func (f *follower) next(n int, pass func(*kgo.Record) bool) []*kgo.Record {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 20*time.Second)
	defer cancel()
	var got []*kgo.Record
	for len(got) < n {
		fetches := f.client.PollRecords(ctx, 1)
		if ctx.Err() != nil {
			f.t.Fatalf("%d records after 20 s, want %d", len(got), n)
		}
		for _, r := range fetches.Records() {
			if pass(r) {
				got = append(got, r)
			}
		}
	}
	return got
}

func keyed(key string) func(*kgo.Record) bool {
	return func(r *kgo.Record) bool { return string(r.Key) == key }
}

func newOrder() string { return ids.New().String() }
