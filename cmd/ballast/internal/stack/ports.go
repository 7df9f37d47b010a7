package stack

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"example.com/ballast/cmd/ballast/internal/api"
)

// Port is a port on 127.0.0.1 and what it is for.
type Port struct {
	Number  int
	Purpose string
}

// DefaultPortBase is where the ports of a stack begin.
const DefaultPortBase = 8080

// services are the programs of a stack in the order of their ports. They are
// also the names of their binaries.
var services = [...]string{"orders", "inventory", "payments"}

// MaxReplicas is how many processes of one service the layout has ports for.
const MaxReplicas = 3

// Layout gives every listener of a stack its port, counted from one number, so
// that two stacks can run side by side:
//
//	+0  +1  +2   orders, inventory, payments
//	+3 ... +8    their second and third replicas, in the same order
//	+10          the payment provider
//	+20 ... +28  the admin listeners of +0 ... +8
//	+30          the provider's admin listener
//	+31          Prometheus
//	+32 +33      the collector of traces and its own metrics
//	+34          node_exporter
//	+40          Postgres
//	+41 +42      Kafka and its controller
//	+43 ... +45  the Redis of orders, inventory, payments
//	+50          toxiproxy's API, and from +51 its proxies
type Layout struct{ Base int }

// portSpan is how many ports a stack takes from its base.
const portSpan = 60

// Service is the public port of the given replica of services[i], both counted
// from zero.
func (l Layout) Service(i, replica int) int { return l.Base + len(services)*replica + i }

// Admin is the admin port of the given replica of services[i].
func (l Layout) Admin(i, replica int) int { return l.Service(i, replica) + 20 }

// Provider is the public port of the payment provider.
func (l Layout) Provider() int { return l.Base + 10 }

// ProviderAdmin is the admin port of the payment provider.
func (l Layout) ProviderAdmin() int { return l.Base + 30 }

// Prometheus is the port of its pages and its API.
func (l Layout) Prometheus() int { return l.Base + 31 }

// Collector is the port that takes traces as OTLP over HTTP.
func (l Layout) Collector() int { return l.Base + 32 }

// CollectorMetrics is the port with the collector's own metrics.
func (l Layout) CollectorMetrics() int { return l.Base + 33 }

// Node is the port of the machine's own metrics.
func (l Layout) Node() int { return l.Base + 34 }

// Postgres is the port of the cluster.
func (l Layout) Postgres() int { return l.Base + 40 }

// Kafka is the port of the broker.
func (l Layout) Kafka() int { return l.Base + 41 }

// KafkaController is the port that a real Kafka elects its controller on.
func (l Layout) KafkaController() int { return l.Base + 42 }

// Redis is the port of the Redis of services[i].
func (l Layout) Redis(i int) int { return l.Base + 43 + i }

// Toxiproxy is the port of the API that takes network faults.
func (l Layout) Toxiproxy() int { return l.Base + 50 }

// Proxy is the port of the proxy before proxied[i].
func (l Layout) Proxy(i int) int { return l.Base + 51 + i }

// API is where the first replicas of such a stack answer.
func (l Layout) API() api.Endpoints {
	return api.Endpoints{
		Orders: []string{localURL(l.Service(0, 0))}, Inventory: []string{localURL(l.Service(1, 0))},
		Payments: []string{localURL(l.Service(2, 0))}, Provider: localURL(l.Provider()),
	}
}

// validate refuses a base from which the last port would not exist.
func (l Layout) validate() error {
	if highest := 65536 - portSpan; l.Base < 1024 || l.Base > highest {
		return fmt.Errorf("--port-base %d: must be from 1024 to %d", l.Base, highest)
	}
	return nil
}

// local is host:port of a port on this machine.
func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// localURL is the base URL of an HTTP listener on this machine.
func localURL(port int) string { return "http://" + local(port) }

// checkPorts tells which ports are taken, by whom, and what to do about it.
func checkPorts(children []Child) error {
	var errs []error
	for _, c := range children {
		for _, p := range c.Ports {
			if free(p.Number) {
				continue
			}
			who := "`lsof -i :" + strconv.Itoa(p.Number) + "` tells by whom"
			if name := portHolder(p.Number); name != "" {
				who = "by " + name
			}
			errs = append(errs, fmt.Errorf("port %d (%s) is taken, %s: stop that, or choose other ports with --port-base N", p.Number, p.Purpose, who))
		}
	}
	return errors.Join(errs...)
}

// free tells whether a server could listen on the port. Listening alone is not
// asked: another socket on the wildcard address may accept our clients too.
func free(port int) bool {
	conn, err := net.DialTimeout("tcp", local(port), 200*time.Millisecond)
	if err == nil {
		_ = conn.Close()
		return false
	}
	l, err := net.Listen("tcp", local(port))
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}
