package stack

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
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

// Layout gives every listener of a stack its port, counted from one number, so
// that two stacks can run side by side.
type Layout struct{ Base int }

// Service is the public port of services[i].
func (l Layout) Service(i int) int { return l.Base + i }

// Admin is the admin port of services[i].
func (l Layout) Admin(i int) int { return l.Base + 20 + i }

// Provider is the public port of the payment provider.
func (l Layout) Provider() int { return l.Base + 10 }

// ProviderAdmin is the admin port of the payment provider.
func (l Layout) ProviderAdmin() int { return l.Base + 30 }

// Postgres is the port of the cluster.
func (l Layout) Postgres() int { return l.Base + 40 }

// Kafka is the port of the broker.
func (l Layout) Kafka() int { return l.Base + 41 }

// KafkaController is the port that a real Kafka elects its controller on.
func (l Layout) KafkaController() int { return l.Base + 42 }

// Redis is the port of the Redis of services[i].
func (l Layout) Redis(i int) int { return l.Base + 43 + i }

// validate refuses a base from which the last port would not exist.
func (l Layout) validate() error {
	if l.Base < 1024 || l.Redis(len(services)-1) > 65535 {
		return fmt.Errorf("--port-base %d: must be from 1024 to 65490", l.Base)
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
