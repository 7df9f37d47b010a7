package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"

	moneyv1 "example.com/ballast/gen/money/v1"
	paymentsv1 "example.com/ballast/gen/payments/v1"
	"example.com/ballast/gen/payments/v1/paymentsv1connect"
	"example.com/ballast/pkg/config"
	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/service"
	"example.com/ballast/pkg/telemetry"
	"example.com/ballast/pkg/testkit"
	"example.com/ballast/services/payments/internal/events"
	"example.com/ballast/services/payments/internal/postgres"
)

// startProvider builds and runs the simulated provider with faults, as JSON,
// and returns the URLs of its API and of its faults.
func startProvider(t *testing.T, faults, webhooks string) (api, admin string) {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "provider")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../provider").CombinedOutput(); err != nil {
		t.Fatalf("build the provider: %v\n%s", err, out)
	}
	cmd := exec.Command(binary) //nolint:gosec // built above, ended below
	cmd.Env = append(os.Environ(), "LISTEN_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0", "SEED=7", "BOOK_FSYNC=false",
		"BOOK_FILE="+filepath.Join(dir, "book"), "FAULTS="+faults, "WEBHOOK_URL="+webhooks, "WEBHOOK_SECRET="+webhookSecret)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		var line struct{ Msg, Setting, Addr string }
		if json.Unmarshal(lines.Bytes(), &line) != nil || line.Msg != "listening" {
			continue
		}
		if line.Setting == "ADMIN_ADDR" { // It is the last to listen.
			go func() { _, _ = io.Copy(io.Discard, stderr) }()
			return api, "http://" + line.Addr + "/faults"
		}
		api = "http://" + line.Addr
	}
	t.Fatal("the provider did not start")
	return "", ""
}

// platform is payments as it runs, between a broker, a database and a provider.
type platform struct {
	t        *testing.T
	client   *kgo.Client
	operator paymentsv1connect.PaymentServiceClient
	customer paymentsv1connect.PaymentServiceClient
	provider string
	faults   string // where they are set
	webhooks *wire
	database string // its URL
}

func startService(t *testing.T, faults string, brokers []string) platform {
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
	p := platform{t: t, webhooks: newWire(t), database: testkit.PostgresURL(t, postgres.Migrations())}
	p.provider, p.faults = startProvider(t, faults, p.webhooks.server.URL)
	cfg, err := config.Parse[Config](map[string]string{
		"LISTEN_ADDR": "127.0.0.1:0", "ADMIN_ADDR": "127.0.0.1:0", "KAFKA_BROKERS": brokers[0], "JWT_PUBLIC_KEY_FILE": keyFile,
		"POSTGRES_URL": p.database, "PROVIDER_URL": p.provider, "PROVIDER_API_KEY": "sk_test_1",
		"PROVIDER_TIMEOUT": "200ms", "LEASE": "4s", "LEASE_POLL": "50ms", "RECONCILE_GRACE": "1ms", "RECONCILE_EVERY": "100ms",
		"WEBHOOK_SECRET": webhookSecret, "WEBHOOK_GRACE": "300ms",
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	addr, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- service.Run(ctx, service.Config{
			Name: "payments", Settings: cfg.Settings, Print: cfg, Telemetry: telemetry.Config{Output: io.Discard},
		}, func(ctx context.Context, host *service.Host) error {
			addr <- "http://" + host.Addr()
			return setup(ctx, host, cfg)
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the service did not end well: %v", err)
		}
	})
	url := <-addr
	p.webhooks.to.Store(&url)
	p.connect(url, brokers, keys)
	return p
}

func (p *platform) connect(url string, brokers []string, keys edge.KeyPair) {
	p.t.Helper()
	client := func(id edge.Identity) paymentsv1connect.PaymentServiceClient {
		token, err := edge.Sign(keys.Private, id, time.Now(), time.Hour)
		if err != nil {
			p.t.Fatal(err)
		}
		return paymentsv1connect.NewPaymentServiceClient(edge.NewClient(url, token))
	}
	p.operator, p.customer = client(edge.Identity{Customer: "ops", Operator: true}), client(edge.Identity{Customer: "17850"})
	var err error
	if p.client, err = kgo.NewClient(append(kafka.Options(brokers, "test"), kgo.ConsumeTopics(events.Answers),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))...); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(p.client.Close)
	if err := kafka.EnsureTopics(p.t.Context(), p.client, events.Topics(1, 1)); err != nil {
		p.t.Fatal(err)
	}
}

func (p platform) send(order string, command proto.Message) {
	p.t.Helper()
	value, err := proto.Marshal(command)
	if err != nil {
		p.t.Fatal(err)
	}
	m := message.New(events.Commands, string(command.ProtoReflect().Descriptor().FullName()), "/orders", order, 0, value, time.Now())
	if err := p.client.ProduceSync(p.t.Context(), m.Record()).FirstErr(); err != nil {
		p.t.Fatal(err)
	}
}

// answers reads payments.events until each of the orders has had the last of
// its commands answered: want by order.
func (p platform) answers(want map[string]func(typ string) bool) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	for len(want) > 0 {
		fetches := p.client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			p.t.Fatalf("%d orders were never answered: %v", len(want), err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			m, err := message.FromRecord(r)
			if err != nil {
				p.t.Error(err)
			}
			if last, ok := want[string(m.Key)]; ok && last(m.Type) {
				delete(want, string(m.Key))
			}
		})
	}
}

// bookLine is what the provider's book says of a movement.
type bookLine struct {
	Kind    string `json:"kind"`
	OrderID string `json:"order_id"`
	Intent  string `json:"intent"`
	Amount  int64  `json:"amount"`
}

// book adds up the provider's own book by order.
func (p platform) book() (captures map[string]int, net map[string]int64) {
	p.t.Helper()
	res, err := http.Get(p.provider + "/book")
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	captures, net = map[string]int{}, map[string]int64{}
	order := map[string]string{}
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		var l bookLine
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			p.t.Fatal(err)
		}
		switch l.Kind {
		case "created":
			order[l.Intent] = l.OrderID
		case "captured":
			captures[order[l.Intent]]++
			net[order[l.Intent]] += l.Amount
		case "refunded":
			net[order[l.Intent]] -= l.Amount
		}
	}
	return captures, net
}

// heal ends the provider's faults.
func (p *platform) heal() {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPut, p.faults, strings.NewReader("{}"))
	if err != nil {
		p.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil || res.StatusCode != http.StatusOK {
		p.t.Fatalf("heal the provider: %v, %v", res, err)
	}
}

// TestServiceAndProvider runs the whole service against the simulated provider
// that loses answers after the charge, fails for good, declines and is limited,
// and whose events come twice, late, in another order, forged, and before the
// answers to the calls that caused them.
func TestServiceAndProvider(t *testing.T) {
	t.Parallel()
	p := startService(t, `{"charge_timeout_rate":0.05,"charge_error_rate":0.1,"error_rate":0.1,"decline_rate":0.1,`+
		`"hang_ms":5000,"rate_per_second":400,"webhook_duplicate_rate":0.3,"webhook_delay_rate":0.2,"webhook_delay_ms":500,`+
		`"webhook_reorder_rate":0.3,"webhook_forged_rate":0.2,"webhook_first_rate":0.2}`, testkit.Kafka(t))
	charged, voided := map[string]bool{}, map[string]bool{}
	want := map[string]func(string) bool{}
	for i := range 150 {
		order := ids.New().String()
		void := i%5 == 0
		charged[order], voided[order] = true, void
		p.send(order, &paymentsv1.ChargePayment{OrderId: order, Amount: &moneyv1.Money{Currency: "GBP", MinorUnits: 1250}})
		want[order] = func(typ string) bool {
			return typ == "payments.v1.PaymentCharged" || typ == "payments.v1.PaymentDeclined"
		}
		if void {
			p.send(order, &paymentsv1.VoidPayment{OrderId: order})
			want[order] = func(typ string) bool {
				return typ == "payments.v1.PaymentVoided" || typ == "payments.v1.PaymentRefunded"
			}
		}
	}
	p.answers(want)

	captures, net := p.book()
	for order := range charged {
		res, err := p.operator.GetPayment(t.Context(), &paymentsv1.GetPaymentRequest{OrderId: order})
		if err != nil {
			t.Fatal(err)
		}
		status := res.GetPayment().GetStatus()
		switch {
		case captures[order] > 1:
			t.Errorf("order %s was captured %d times", order, captures[order])
		case (status == paymentsv1.PaymentStatus_PAYMENT_STATUS_CHARGED) != (net[order] == 1250):
			t.Errorf("order %s is %s, the provider holds %d", order, status, net[order])
		case voided[order] && net[order] != 0:
			t.Errorf("order %s was voided, the provider holds %d", order, net[order])
		}
	}
	p.heal() // It fails reads, too, and a comparison takes many.
	books, err := p.operator.Reconcile(t.Context(), &paymentsv1.ReconcileRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if len(books.GetDifferences()) > 0 || books.GetDebits() != books.GetCredits() || books.GetCompared() == 0 {
		t.Errorf("reconciliation: %v", books)
	}
	if taken, refused := p.webhooks.answered(200), p.webhooks.answered(400); taken < 150 || refused == 0 {
		t.Errorf("%d webhooks taken and %d refused: the faults did not bite", taken, refused)
	}
	if _, err := p.customer.GetPayment(t.Context(), &paymentsv1.GetPaymentRequest{OrderId: ids.New().String()}); err == nil {
		t.Error("a customer reads payments")
	}
}
