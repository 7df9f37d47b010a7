package stack

import (
	"context"
	"net/url"
	"os/exec"
	"slices"
	"strings"
)

// proxied names what services reach through a proxy in a stack with --proxied, in
// the order of the ports. Each service has a proxy of its own before Postgres, so
// that one can lose its database while the others keep theirs.
var proxied = [...]string{
	"postgres-orders", "postgres-inventory", "postgres-payments", "kafka",
	"redis-orders", "redis-inventory", "redis-payments", "provider",
}

// through returns the address by which services reach something: direct, or in
// a stack with --proxied that of its proxy.
func (u *upper) through(name, direct string) string {
	if !u.Proxied {
		return direct
	}
	return local(u.layout.Proxy(slices.Index(proxied[:], name)))
}

// throughURL is through for a URL.
func (u *upper) throughURL(name, direct string) string {
	parsed, err := url.Parse(direct)
	if err != nil {
		return direct // whoever uses it says what is wrong
	}
	parsed.Host = u.through(name, parsed.Host)
	return parsed.String()
}

// toxiproxy describes the process with all proxies. What stands behind them need
// not be there yet.
func (u *upper) toxiproxy() Child {
	behind := map[string]string{"kafka": local(u.layout.Kafka()), "provider": local(u.layout.Provider())}
	for _, service := range services {
		behind["postgres-"+service] = u.endpoints.Postgres
		if parsed, err := url.Parse(u.endpoints.Redis[service]); err == nil {
			behind["redis-"+service] = parsed.Host
		}
	}
	port := u.layout.Toxiproxy()
	u.endpoints.Toxiproxy = localURL(port)
	ports := []Port{{port, "toxiproxy"}}
	args := []string{"toxiproxy", "--listen", local(port)}
	for i, name := range proxied {
		ports = append(ports, Port{u.layout.Proxy(i), "proxy of " + name})
		args = append(args, "--proxy", strings.Join([]string{name, local(u.layout.Proxy(i)), behind[name]}, ","))
	}
	return Child{
		Name:    "toxiproxy",
		About:   "stands before every dependency of the services; " + localURL(port) + "/proxies takes faults",
		Command: func(context.Context) (*exec.Cmd, error) { return exec.Command(u.Self, args...), nil },
		Ready:   func(ctx context.Context) error { return answersOK(ctx, localURL(port)+"/version") },
		Ports:   ports, Address: localURL(port), Probe: localURL(port) + "/version",
	}
}
