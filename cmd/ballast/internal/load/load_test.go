package load

import (
	"bytes"
	"context"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/cmd/ballast/internal/shoptest"
	ordersv1 "example.com/ballast/gen/orders/v1"
	"example.com/ballast/pkg/message"
)

// bench is a shop whose orders' events go to a broker, as orders' do.
type bench struct {
	shop    *shoptest.Shop
	brokers []string
	cfg     *Config
}

func setup(t *testing.T) *bench {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, eventsTopic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	producer, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(producer.Close)
	b := &bench{brokers: cluster.ListenAddrs()}
	b.shop = &shoptest.Shop{Placed: func(o *ordersv1.Order) {
		for i, name := range []string{"OrderPlaced", "OrderReserved", "OrderCharged", "OrderConfirmed"} {
			m := message.New(eventsTopic, "orders.v1."+name, "/orders", o.GetOrderId(), int64(i+1), nil, time.Now())
			producer.Produce(context.WithoutCancel(t.Context()), m.Record(), nil)
		}
	}}
	b.cfg = &Config{
		Client: b.shop.Start(t), Brokers: b.brokers, Duration: 500 * time.Millisecond, Lines: 3, Wait: 5 * time.Second,
		Processes: []Process{{Name: "shop", PID: os.Getpid()}}, Say: func(line string) { t.Log(line) },
	}
	return b
}

func TestClosedLoopThenOpenModel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.cfg.Clients = 2
	report, err := Run(t.Context(), b.cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*Measurement{report.Closed, report.Open} {
		if m.Confirmed == 0 || m.Confirmed != m.Placed || m.NotEnded != 0 || m.PerSecond <= 0 {
			t.Errorf("%s: %+v", m.Model, m)
		}
		if m.EndToEnd.N != int64(m.Confirmed) || m.PlaceOrder.N != int64(m.Placed) || m.Steps[1].N != int64(m.Confirmed) {
			t.Errorf("%s: measured %d, %d, %d of %d orders", m.Model, m.EndToEnd.N, m.PlaceOrder.N, m.Steps[1].N, m.Confirmed)
		}
		if m.Cost.Messages < 3 {
			t.Errorf("%s: %v messages an order, the shop sends 4", m.Model, m.Cost.Messages)
		}
	}
	if runtime.GOOS == "linux" && report.PeakRSS["shop"] == 0 {
		t.Error("the memory of this very process was not seen")
	}
	var text bytes.Buffer
	if err := report.Print(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"closed loop, 2 clients", "completed checkouts/s", "placed -> reserved", "PEAK MEMORY"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report does not say %q:\n%s", want, text.String())
		}
	}
}

func TestGivenRateIsMeasuredAsItIs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.cfg.Rate = 40
	b.cfg.Duration = time.Second
	report, err := Run(t.Context(), b.cfg)
	if err != nil {
		t.Fatal(err)
	}
	// 40 arrivals are expected; six standard deviations make this certain.
	if report.Closed != nil || report.Open.Rate != 40 || report.Open.Sent < 5 || report.Open.Sent > 80 {
		t.Errorf("report: %+v", report.Open)
	}
}

// TestStallCountsInEveryOrderItDelayed is the point of the open model: a stack
// that stalls for a second must not look fast because nobody asked it meanwhile.
func TestStallCountsInEveryOrderItDelayed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, p := newWatcher(), newPhase()
		meant := time.Now()
		for i, id := range []string{"a", "b", "c"} {
			// All were due within 20 ms but the generator itself came to them a second later.
			at := meant.Add(time.Duration(i) * 10 * time.Millisecond)
			time.Sleep(time.Until(meant.Add(time.Second)))
			<-endAt(w, id, p, at)
		}
		if got := p.endToEnd.latency(); got.P50 < 970 || got.N != 3 {
			t.Errorf("latency %+v, want about a second for each", got)
		}
	})
}

// endAt places an order and ends it at once.
func endAt(w *watcher, id string, p *phase, meant time.Time) <-chan struct{} {
	done := w.placed(id, p, meant)
	m := message.New(eventsTopic, "orders.v1.OrderConfirmed", "/orders", id, 4, nil, time.Now())
	w.event(&m, time.Now())
	return done
}

func TestEventsMayComeBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	w, p, now := newWatcher(), newPhase(), time.Now()
	event := func(name string) {
		m := message.New(eventsTopic, "orders.v1."+name, "/orders", "a", 1, nil, now)
		w.event(&m, now)
	}
	event("OrderPlaced")
	event("OrderCancelled")
	event("OrderCancelled") // redelivered
	select {
	case <-w.placed("a", p, now):
	default:
		t.Error("the order had ended before its answer came, but is not done")
	}
	if p.failed != 1 || p.confirmed != 0 || w.open() != 0 {
		t.Errorf("failed %d, confirmed %d, open %d", p.failed, p.confirmed, w.open())
	}
	event("OrderPlaced") // of somebody else's order by now
	w.forget()
	if len(w.flights) != 0 {
		t.Error("a foreign order is kept")
	}
}

func TestKeptUp(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		queue []queued
		want  bool
	}{
		"a closed loop":                  {nil, true},
		"slow but steady":                {[]queued{{500, 200}, {1000, 210}}, true},
		"nothing under way":              {[]queued{{500, 0}, {1000, 0}}, true},
		"chance":                         {[]queued{{100, 4}, {200, 10}}, true},
		"a tenth of the arrivals queues": {[]queued{{5000, 500}, {10000, 1000}}, false},
		"half of them":                   {[]queued{{50, 25}, {100, 50}}, false},
	}
	for name, test := range tests {
		if got := keptUp(test.queue); got != test.want {
			t.Errorf("%s: keptUp = %v", name, got)
		}
	}
}
