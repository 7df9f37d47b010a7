package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Options say what to start.
type Options struct {
	Home     Home
	PortBase int
	// Broker is kfake or apache.
	Broker string
	// Binaries is the directory with the services' binaries.
	Binaries string
	// Self is the ballast binary, which some children are too.
	Self string
	// Replicas is the number of processes of each service, 1 when zero.
	Replicas int
	// Proxied puts a proxy before every dependency, for faults of the network.
	Proxied bool
	// Secure gives everybody a user at Kafka and Redis, with the rights that they need.
	Secure bool
	// ServersOnly leaves out the services: for those who run them in a debugger.
	ServersOnly bool
	// Observability starts what looks at the stack, as far as it is installed.
	Observability bool
	// AlertScale multiplies every window of the alerts, for drills; 1 when zero.
	AlertScale float64
	// Catalogue loads the demo catalogue.
	Catalogue bool
	// Statements makes Postgres count SQL statements, for measurements: it
	// preloads the extension pg_stat_statements, which must be installed.
	Statements bool
	// External are servers that are there already.
	External External
}

// External are servers that are used instead of children.
type External struct {
	// PostgresURL is of a role that may create databases and roles.
	PostgresURL string
	// KafkaBrokers are host:port.
	KafkaBrokers []string
	// Redis has the URL by service.
	Redis map[string]string
}

// ExternalFromEnv reads POSTGRES_URL, KAFKA_BROKERS (comma-separated),
// REDIS_{ORDERS,INVENTORY,PAYMENTS}_URL and REDIS_URL, which stands for those of
// the three that are not set: each service gets a database of its own there.
func ExternalFromEnv(getenv func(string) string) (External, error) {
	e := External{PostgresURL: getenv("POSTGRES_URL"), Redis: map[string]string{}}
	for broker := range strings.SplitSeq(getenv("KAFKA_BROKERS"), ",") {
		if broker = strings.TrimSpace(broker); broker != "" {
			e.KafkaBrokers = append(e.KafkaBrokers, broker)
		}
	}
	for i, service := range services {
		if own := getenv("REDIS_" + strings.ToUpper(service) + "_URL"); own != "" {
			e.Redis[service] = own
			continue
		}
		shared := getenv("REDIS_URL")
		if shared == "" {
			continue
		}
		u, err := url.Parse(shared)
		if err != nil || u.Host == "" {
			return e, fmt.Errorf("REDIS_URL=%s: must look like redis://host:port", shared)
		}
		u.Path = fmt.Sprintf("/%d", i)
		e.Redis[service] = u.String()
	}
	return e, nil
}

// Up brings the stack up, calls ready, keeps everything running until ctx ends
// and takes it down again in order. Once kill ends, it does not wait any more
// for children that take their time.
func Up(ctx, kill context.Context, o Options, out io.Writer) error {
	o.Replicas = max(o.Replicas, 1)
	u := &upper{Options: o, layout: Layout{o.PortBase}, console: NewConsole(out)}
	if err := u.check(); err != nil {
		return err
	}
	sup, err := NewSupervisor(ctx, o.Home, u.console)
	if err != nil {
		return err
	}
	u.sup = sup
	defer context.AfterFunc(kill, sup.Kill)()
	err = u.start(ctx)
	if err == nil {
		sup.SetPhase(PhaseReady)
		u.banner(out)
		<-ctx.Done()
	}
	u.console.Printf("stopping")
	sup.Stop()
	u.console.Printf("stopped; the data stays in %s", string(o.Home))
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// upper is one Up under way.
type upper struct {
	Options
	layout    Layout
	console   *Console
	sup       *Supervisor
	endpoints Endpoints
	// partitions is what services make topics with; 0 leaves it to the user's setting.
	partitions int
}

// check finds what is wrong before anything is started.
func (u *upper) check() error {
	if err := u.layout.validate(); err != nil {
		return err
	}
	if u.Broker != "kfake" && u.Broker != "apache" {
		return fmt.Errorf("--broker %q: must be kfake or apache", u.Broker)
	}
	if u.Replicas > MaxReplicas {
		return fmt.Errorf("--replicas %d: must be from 1 to %d", u.Replicas, MaxReplicas)
	}
	if u.Proxied && len(u.External.KafkaBrokers) > 0 {
		return errors.New("--proxied: a broker that is there already names its own address to clients, which go past any proxy: unset KAFKA_BROKERS")
	}
	if err := u.checkSecure(); err != nil || u.ServersOnly {
		return err
	}
	for _, name := range append([]string{"provider"}, services[:]...) {
		file := filepath.Join(u.Binaries, name)
		if _, err := exec.LookPath(file); err != nil {
			return fmt.Errorf("%s is missing: `make build` builds it", file)
		}
	}
	return nil
}

// start brings everything up, tier by tier.
func (u *upper) start(ctx context.Context) error {
	if err := u.users(); err != nil {
		return err
	}
	children, err := u.servers(ctx)
	if err != nil {
		return err
	}
	if u.Observability {
		observers, err := u.observers(ctx)
		if err != nil {
			return err
		}
		children = append(children, observers...)
	}
	var later []Child
	if !u.ServersOnly {
		if later, err = u.services(); err != nil {
			return err
		}
	}
	// All ports are looked at before the first child starts: better to fail at
	// once than after Postgres has been made.
	if err := checkPorts(append(later, children...)); err != nil {
		return err
	}
	u.sup.Describe(u.PortBase, u.Broker, u.endpoints)
	if err := u.sup.Start(ctx, children...); err != nil {
		return err
	}
	if err := u.databases(ctx); err != nil {
		return err
	}
	if u.ServersOnly {
		return nil
	}
	if os.Getenv("KAFKA_PARTITIONS") == "" {
		if err := u.partition(ctx); err != nil {
			return err
		}
	}
	if err := u.rights(ctx); err != nil {
		return err
	}
	if err := u.sup.Start(ctx, later...); err != nil {
		return err
	}
	if !u.Catalogue {
		return nil
	}
	return u.loadCatalogue(ctx)
}

// banner prints where everything is and what to try.
func (u *upper) banner(out io.Writer) {
	fmt.Fprintf(out, "\nBallast is up after %.1f s.\n\n", u.console.Elapsed().Seconds())
	e := u.endpoints
	for _, row := range [][2]string{
		{"orders", strings.Join(e.Replicas["orders"], " ")}, {"inventory", strings.Join(e.Replicas["inventory"], " ")},
		{"payments", strings.Join(e.Replicas["payments"], " ")}, {"provider", e.Provider},
		{"admin", e.Admin["orders"]},
		{"kafka", strings.Join(e.Kafka, ",")}, {"postgres", e.Postgres},
		{"prometheus", e.Prometheus}, {"collector", e.Collector}, {"traces", near(e.Traces)},
		{"logs", near(u.Home.Path("logs"))},
	} {
		if row[1] == "" {
			continue // it was left out
		}
		fmt.Fprintf(out, "  %-10s %s\n", row[0], row[1])
	}
	if u.ServersOnly {
		return
	}
	self, home := near(u.Self), near(string(u.Home))
	flag := ""
	if home != string(DefaultHome) {
		flag = " --home " + home
	}
	fmt.Fprintf(out, `
Place an order, and look at it:

  TOKEN=$(%[1]s token --customer ada%[2]s)
  curl -s %[3]s/orders.v1.OrderService/PlaceOrder -H 'Content-Type: application/json' \
    -H "Authorization: Bearer $TOKEN" -H 'Idempotency-Key: my-first-order' \
    -d '{"lines":[{"sku":"85123A","quantity":6}],"shipTo":{"country":"GB"}}'
  curl -s %[3]s/orders.v1.OrderService/ListOrders -H 'Content-Type: application/json' \
    -H "Authorization: Bearer $TOKEN" -d '{}'

Ctrl-C or '%[1]s down%[2]s' stops everything; the data stays in %[4]s.
`, self, flag, e.Orders, home)
}

// near shortens a path below the working directory to what one would type.
func near(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	rel, err := filepath.Rel(wd, path)
	if err != nil || strings.HasPrefix(rel, "..") {
		return path
	}
	return rel
}

// DefaultHome is where a stack keeps its state unless told otherwise.
const DefaultHome Home = ".ballast"
