//go:build apachekafka

// This test needs Java and Maven: `make test-kafka` runs it. It starts a broker of its
// own, because the others ask nobody who they are.
package access

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/config"
	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/servers"
)

// guarded is a broker that asks, with the users and rights of a Ballast.
type guarded struct {
	t       *testing.T
	brokers []string
	secrets string
	admin   kafka.Login
}

func startGuarded(t *testing.T) *guarded {
	t.Helper()
	port := func() int {
		p, err := servers.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	g := &guarded{t: t, secrets: t.TempDir()}
	var made strings.Builder
	if err := (Secrets{Dir: g.secrets, Postgres: "p:1", Redis: "r:1", Mode: 0o600}).Make(&made); err != nil {
		t.Fatal(err)
	}
	g.admin = kafka.Login{User: Admin, Password: g.password(Admin), Mechanism: kafka.Plain}
	process, err := servers.Kafka{
		Dir: t.TempDir(), Port: port(), ControllerPort: port(), AdminPassword: string(g.admin.Password),
		Progress: func(s string) { t.Log(s) },
	}.Process(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var log strings.Builder
	running, err := servers.Start(ctx, process, &log)
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	t.Cleanup(running.Kill)
	g.brokers = []string{process.URL}
	return g
}

func (g *guarded) password(user string) config.Secret {
	g.t.Helper()
	p, err := Passwords(g.secrets + "/kafka")(user)
	if err != nil {
		g.t.Fatal(err)
	}
	return config.Secret(p)
}

func (g *guarded) login(user string) kafka.Login {
	return kafka.Login{User: user, Password: g.password(user)}
}

// client logs in anew for each attempt: nothing of an earlier one is remembered.
func (g *guarded) client(login kafka.Login, opts ...kgo.Opt) *kgo.Client {
	g.t.Helper()
	all := append(append(kafka.Options(g.brokers, "test"), login.Options()...), kgo.RecordRetries(3), kgo.RequestRetries(2))
	c, err := kgo.NewClient(append(all, opts...)...)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(c.Close)
	return c
}

// apply gives everybody their rights and returns what was printed.
func (g *guarded) apply() string {
	g.t.Helper()
	var out strings.Builder
	k := Kafka{Brokers: g.brokers, Login: g.admin, Password: Passwords(g.secrets + "/kafka")}
	if err := k.Apply(g.t.Context(), Services(), &out); err != nil {
		g.t.Fatal(err)
	}
	return out.String()
}

// topics makes every topic that somebody has a right to, with a record in each, as the
// administrator.
func (g *guarded) topics() {
	g.t.Helper()
	client := g.client(g.admin)
	var names []string
	for _, r := range Rights(Services()) {
		// Boxes are the operator's to make; and a right to every topic should be seen by
		// what it allows.
		if r.Resource == topic && !strings.HasSuffix(r.Name, ".quarantine") && !strings.HasSuffix(r.Name, ".discarded") && r.Name != "*" {
			names = append(names, r.Name)
		}
	}
	slices.Sort(names)
	for _, name := range append(slices.Compact(names), "shipping.events") {
		if err := kafka.EnsureTopics(g.t.Context(), client, []kafka.Topic{{Name: name}}); err != nil {
			g.t.Fatal(err)
		}
		if err := client.ProduceSync(g.t.Context(), &kgo.Record{Topic: name, Value: []byte("v")}).FirstErr(); err != nil {
			g.t.Fatal(err)
		}
	}
}

// TestKafkaDenies: each user can do what it must, and nothing else.
func TestKafkaDenies(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	first := g.apply()
	if !strings.Contains(first, "user payments: password set") {
		t.Errorf("the first run made no users:\n%s", first)
	}
	g.topics()
	judge(t, "kafka", slices.Concat(g.strangers(), g.services(), g.operator(), g.administrator()))

	if second := g.apply(); !strings.Contains(second, "0 added, 0 removed") || strings.Contains(second, "password set\n") {
		t.Errorf("the second run changed something:\n%s", second)
	}
	// What somebody gave away by hand is taken back.
	client := g.client(g.admin)
	for _, r := range []Right{{"*", topic, "orders.events", false, read}, {"payments", topic, "*", false, read}, {"guest", topic, "shipping.events", false, read}} {
		if err := add(t.Context(), client, []Right{r}); err != nil {
			t.Fatal(err)
		}
	}
	if third := g.apply(); !strings.Contains(third, "0 added, 2 removed") {
		t.Errorf("the third run did not take back what is everybody's and what is too much, and that alone:\n%s", third)
	}
}

const (
	noTopic   = "TOPIC_AUTHORIZATION_FAILED"
	noGroup   = "GROUP_AUTHORIZATION_FAILED"
	noCluster = "CLUSTER_AUTHORIZATION_FAILED"
	noTxn     = "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"
	noLogin   = "SASL_AUTHENTICATION_FAILED"
)

func (g *guarded) strangers() []attempt {
	return []attempt{
		{"nobody", "connect without a name", g.as(kafka.Login{}).enter(), "SASL is required"},
		{"payments", "log in with a wrong password", g.as(kafka.Login{User: "payments", Password: "wrong"}).enter(), noLogin},
		{"payments", "log in with its password by PLAIN", g.as(kafka.Login{User: "payments", Password: g.password("payments"), Mechanism: kafka.Plain}).enter(), noLogin},
		{"orders", "log in with payments' password", g.as(kafka.Login{User: "orders", Password: g.password("payments")}).enter(), noLogin},
		{"mallory", "log in", g.as(kafka.Login{User: "mallory", Password: "x"}).enter(), noLogin},
	}
}

func (g *guarded) services() []attempt {
	orders, inventory, payments := g.as(g.login("orders")), g.as(g.login("inventory")), g.as(g.login("payments"))
	return []attempt{
		{"orders", "write orders.events", orders.write("orders.events"), ""},
		{"orders", "write inventory.commands", orders.write("inventory.commands"), ""},
		{"orders", "write payments.commands", orders.write("payments.commands"), ""},
		{"orders", "consume inventory.events as group orders", orders.consume("orders", "inventory.events"), ""},
		{"orders", "consume inventory.products as group orders.products", orders.consume("orders.products", "inventory.products"), ""},
		{"orders", "follow orders.events without a group", orders.read("orders.events"), ""},
		{"orders", "dead-letter what inventory sent", orders.write("inventory.events.orders.dlq"), ""},
		{"orders", "count its dead letters", orders.letters("payments.events", "orders"), ""},
		{"orders", "write payments.events: forge an answer", orders.write("payments.events"), noTopic},
		{"orders", "write inventory.events: forge an answer", orders.write("inventory.events"), noTopic},
		{"orders", "read payments.commands", orders.read("payments.commands"), noTopic},
		{"orders", "read its own dead letters back", orders.read("inventory.events.orders.dlq"), noTopic},
		{"orders", "read payments' dead letters", orders.read("payments.commands.payments.dlq"), noTopic},
		{"orders", "write to payments' retry topic", orders.write("payments.commands.payments.retry"), noTopic},
		{"orders", "consume as group payments", orders.consume("payments", "payments.events"), noGroup},
		{"orders", "skip what group payments has to read", orders.skip("payments", "payments.commands"), noGroup},
		{"orders", "decide about dead letters", orders.skip("orders.dlq-replay", "inventory.events.orders.dlq"), noGroup},
		{"orders", "delete records of orders.events", orders.deleteRecords("orders.events"), noTopic},
		{"orders", "delete the topic orders.events", orders.deleteTopic("orders.events"), noTopic},
		{"orders", "let records of orders.events expire", orders.expire("orders.events"), noTopic},

		{"inventory", "consume inventory.commands", inventory.consume("inventory", "inventory.commands"), ""},
		{"inventory", "write inventory.events", inventory.write("inventory.events"), ""},
		{"inventory", "write inventory.products", inventory.write("inventory.products"), ""},
		{"inventory", "follow inventory.products without a group", inventory.read("inventory.products"), ""},
		{"inventory", "write payments.commands: ask for money", inventory.write("payments.commands"), noTopic},
		{"inventory", "write inventory.commands: command itself", inventory.write("inventory.commands"), noTopic},
		{"inventory", "read orders.events", inventory.read("orders.events"), noTopic},
		{"inventory", "ask how far group payments has come", inventory.lag("payments"), noGroup},

		{"payments", "consume payments.commands", payments.consume("payments", "payments.commands"), ""},
		{"orders", "ask how far group payments has come", orders.lag("payments"), ""},
		{"payments", "write payments.events", payments.write("payments.events"), ""},
		{"payments", "set a record aside to be tried again", payments.write("payments.commands.payments.retry"), ""},
		{"payments", "be told of its own topics and no others", payments.sees(
			"payments.commands", "payments.commands.payments.dlq", "payments.commands.payments.retry", "payments.events"), ""},
		{"payments", "read orders.events: who buys what", payments.read("orders.events"), noTopic},
		{"payments", "read orders' dead letters", payments.read("payments.events.orders.dlq"), noTopic},
		{"payments", "write inventory.commands: ship something", payments.write("inventory.commands"), noTopic},
		{"payments", "write payments.commands: charge by itself", payments.write("payments.commands"), noTopic},
		{"payments", "read a topic of nobody's", payments.read("shipping.events"), noTopic},
		{"payments", "consume as group orders", payments.consume("orders", "payments.commands"), noGroup},
		{"payments", "delete records of payments.commands", payments.deleteRecords("payments.commands"), noTopic},
		{"payments", "create a topic", payments.create("payments.more"), noTopic},
		{"payments", "grow payments.events", payments.grow("payments.events"), noTopic},
		{"payments", "move dead letters", payments.begin("ballast-dlq.payments.commands.payments.dlq"), noTxn},
		{"payments", "give itself a right", payments.allow(), noCluster},
		{"payments", "list everybody's rights", payments.listRights(), noCluster},
		{"payments", "set orders' password", payments.password("orders"), noCluster},
	}
}

func (g *guarded) operator() []attempt {
	operator := g.as(g.login(Operator))
	return []attempt{
		{Operator, "read orders.events", operator.read("orders.events"), ""},
		{Operator, "read payments' dead letters", operator.read("payments.commands.payments.dlq"), ""},
		{Operator, "begin to move them", operator.begin("ballast-dlq.payments.commands.payments.dlq"), ""},
		{Operator, "send one back to be tried again", operator.write("payments.commands.payments.retry"), ""},
		{Operator, "say that they are decided", operator.skip("payments.dlq-replay", "payments.commands.payments.dlq"), ""},
		{Operator, "delete those that are decided", operator.deleteRecords("payments.commands.payments.dlq"), ""},
		{Operator, "make the box of those that are discarded", operator.create("payments.commands.payments.discarded"), ""},
		{Operator, "write payments.commands: charge somebody", operator.write("payments.commands"), noTopic},
		{Operator, "write orders.events: rewrite history", operator.write("orders.events"), noTopic},
		{Operator, "delete records of orders.events", operator.deleteRecords("orders.events"), noTopic},
		{Operator, "create another topic", operator.create("operators.notes"), noTopic},
		{Operator, "consume in the place of payments", operator.consume("payments", "payments.commands"), noGroup},
		{Operator, "skip what group payments has to read", operator.skip("payments", "payments.commands"), noGroup},
		{Operator, "begin another transaction", operator.begin("payments"), noTxn},
		{Operator, "give itself a right", operator.allow(), noCluster},
		{Operator, "set orders' password", operator.password("orders"), noCluster},
	}
}

func (g *guarded) administrator() []attempt {
	return []attempt{
		{Admin, "log in by PLAIN, before there are users", g.as(g.admin).enter(), ""},
		{Admin, "log in by SCRAM, after", g.as(g.login(Admin)).enter(), ""},
		{Admin, "list everybody's rights", g.as(g.login(Admin)).listRights(), ""},
		{Admin, "create a topic", g.as(g.login(Admin)).create("shipping.commands"), ""},
	}
}
