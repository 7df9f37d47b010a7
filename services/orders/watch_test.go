package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"

	inventoryv1 "example.com/ballast/gen/inventory/v1"
	moneyv1 "example.com/ballast/gen/money/v1"
	ordersv1 "example.com/ballast/gen/orders/v1"
	"example.com/ballast/gen/orders/v1/ordersv1connect"
	paymentsv1 "example.com/ballast/gen/payments/v1"
	"example.com/ballast/pkg/config"
	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/testkit"
	"example.com/ballast/services/orders/internal/events"
	"example.com/ballast/services/orders/internal/postgres"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// replicas are two processes of orders on one database and one broker, and the
// answers of the other services.
type replicas struct {
	producer *kgo.Client
	clients  [2]ordersv1connect.OrderServiceClient
	stop     [2]func()
}

func startReplicas(t *testing.T) *replicas {
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
	token, err := edge.Sign(keys.Private, edge.Identity{Customer: "ada"}, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	migrations := postgres.Migrations()
	// A broker of its own, always: the topics have fixed names, and what is sent to
	// the other services here would reach their tests.
	broker, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	brokers, database, redis := broker.ListenAddrs(), testkit.PostgresURL(t, migrations), "redis://"+testkit.Redis(t)+"/0"
	r := &replicas{}
	if r.producer, err = kgo.NewClient(kafka.Options(brokers, "test")...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.producer.Close)
	if err := kafka.EnsureTopics(t.Context(), r.producer, events.Topics(1, 1)); err != nil {
		t.Fatal(err)
	}
	price := &moneyv1.Money{Currency: "GBP", MinorUnits: 100}
	r.say(t, events.InventoryProducts, "SKU", &inventoryv1.ProductChanged{Sku: "SKU", Price: price, Version: 1})
	for i := range r.clients {
		cfg, err := config.Parse[Config](map[string]string{
			"POSTGRES_URL": database, "KAFKA_BROKERS": brokers[0], "JWT_PUBLIC_KEY_FILE": keyFile,
			"LISTEN_ADDR": freeAddr(t), "ADMIN_ADDR": freeAddr(t), "LOG_LEVEL": "error",
			"REDIS_URL": redis,
		})
		if err != nil {
			t.Fatal(err)
		}
		r.stop[i] = serving(t, cfg)
		r.clients[i] = ordersv1connect.NewOrderServiceClient(edge.NewClient("http://"+cfg.ListenAddr, token))
	}
	return r
}

// serving runs the service until the returned function has stopped it.
func serving(t *testing.T, cfg Config) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx, cfg) }()
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

func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// say produces a message as another service would.
func (r *replicas) say(t *testing.T, topic, key string, m proto.Message) {
	t.Helper()
	value, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	msg := message.New(topic, string(m.ProtoReflect().Descriptor().FullName()), "/test", key, 0, value, time.Now())
	if err := r.producer.ProduceSync(t.Context(), msg.Record()).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// place waits for the service to start.
func (r *replicas) place(t *testing.T, i int, key string) (id string) {
	t.Helper()
	testkit.Eventually(t, "an order is taken", func() bool {
		ctx, info := connect.NewClientContext(t.Context())
		info.RequestHeader().Set("Idempotency-Key", key)
		res, err := r.clients[i].PlaceOrder(ctx, &ordersv1.PlaceOrderRequest{
			Lines: []*ordersv1.LineRequest{{Sku: "SKU", Quantity: 1}}, ShipTo: &ordersv1.Address{Country: "GB"},
		})
		id = res.GetOrder().GetOrderId()
		return err == nil
	})
	return id
}

func (r *replicas) reach(t *testing.T, id string, status ordersv1.OrderStatus) {
	t.Helper()
	testkit.Eventually(t, "the order is "+status.String(), func() bool {
		res, err := r.clients[1].GetOrder(t.Context(), &ordersv1.GetOrderRequest{OrderId: id})
		return err == nil && res.GetOrder().GetStatus() == status
	})
}

// watched is a stream that is being read.
type watched struct {
	versions []int64
	err      error
	done     chan struct{}
}

func (r *replicas) watch(t *testing.T, i int, id string, after int64) *watched {
	t.Helper()
	w := &watched{done: make(chan struct{})}
	stream, err := r.clients[i].WatchOrder(t.Context(), &ordersv1.WatchOrderRequest{OrderId: id, AfterVersion: after})
	if err != nil {
		t.Fatal(err)
	}
	first, err := stream.Receive()
	if err != nil {
		t.Fatal(err)
	}
	w.versions = append(w.versions, first.GetEvent().GetVersion())
	go func() {
		defer close(w.done)
		defer stream.Close()
		for {
			res, err := stream.Receive()
			if err != nil {
				w.err = err
				return
			}
			if res.GetEvent() != nil {
				w.versions = append(w.versions, res.GetEvent().GetVersion())
			}
		}
	}()
	return w
}

func (w *watched) want(t *testing.T, who string, versions []int64) {
	t.Helper()
	select {
	case <-w.done:
	case <-time.After(5 * time.Second): // a heartbeat takes longer
		t.Fatalf("%s: the stream does not end", who)
	}
	if !slices.Equal(w.versions, versions) {
		t.Errorf("%s: versions %v, want %v", who, w.versions, versions)
	}
}

// TestAnyReplicaStreams: one consumer group decides, so of two processes only one
// hears an answer; both stream what follows, at once. When one of them stops, its
// streams end as unavailable and go on with the other, behind the last version.
func TestAnyReplicaStreams(t *testing.T) {
	t.Parallel()
	r := startReplicas(t)
	id := r.place(t, 0, "one")
	r.place(t, 1, "one") // the same order; the second process has started, too
	var streams [2]*watched
	for i := range streams {
		streams[i] = r.watch(t, i, id, 0)
	}
	r.say(t, events.InventoryEvents, id, &inventoryv1.StockReserved{OrderId: id, Version: 1})
	r.reach(t, id, ordersv1.OrderStatus_ORDER_STATUS_RESERVED)
	r.say(t, events.PaymentsEvents, id, &paymentsv1.PaymentCharged{OrderId: id, Version: 2})
	r.reach(t, id, ordersv1.OrderStatus_ORDER_STATUS_CHARGED)
	r.stop[0]()
	<-streams[0].done
	if connect.CodeOf(streams[0].err) != connect.CodeUnavailable {
		t.Errorf("the stream of a process that stops ends with %v", streams[0].err)
	}
	all := []int64{1, 2, 3, 4}
	seen := len(streams[0].versions)
	if !slices.Equal(streams[0].versions, all[:seen]) {
		t.Errorf("before its end the stream had versions %v", streams[0].versions)
	}
	again := r.watch(t, 1, id, int64(seen)-1) // the last one again, to see that the stream stands
	r.say(t, events.InventoryEvents, id, &inventoryv1.ShipmentScheduled{OrderId: id, Version: 2})
	streams[1].want(t, "the process that stays", all)
	again.want(t, "the stream that moved", all[seen-1:])
	for _, w := range []*watched{streams[1], again} {
		if !errors.Is(w.err, io.EOF) {
			t.Errorf("the stream of a confirmed order ends with %v", w.err)
		}
	}
}
