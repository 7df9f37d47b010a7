package stack

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// serviceGrace is how long a service may take to drain.
const serviceGrace = 20 * time.Second

// services describes the provider and the three services. All start at once:
// each waits for the others by itself, as it would in production.
func (u *upper) services() ([]Child, error) {
	if err := u.Home.makeKeys(); err != nil {
		return nil, err
	}
	if err := u.Home.makeFlags(); err != nil {
		return nil, err
	}
	apiKey, err := u.Home.Secret("provider_api_key")
	if err != nil {
		return nil, err
	}
	webhookSecret, err := u.Home.Secret("webhook_secret")
	if err != nil {
		return nil, err
	}
	u.endpoints.Admin, u.endpoints.Replicas = map[string]string{}, map[string][]string{}
	u.endpoints.Provider = localURL(u.layout.Provider())
	children := []Child{u.service("provider", "provider", u.layout.Provider(), u.layout.ProviderAdmin(), map[string]string{
		"PROVIDER_API_KEY": apiKey,
		"BOOK_FILE":        u.Home.Path("provider", "book.jsonl"),
		// The provider is somebody else's machine: its flushes must not compete
		// with Postgres for this one's disk. What is written survives kill -9.
		"BOOK_FSYNC": "false",
		// One endpoint, as with a provider in earnest; here it is the first replica's.
		"WEBHOOK_URL":    localURL(u.layout.Service(slices.Index(services[:], "payments"), 0)) + "/webhooks/provider",
		"WEBHOOK_SECRET": webhookSecret,
	})}
	for i, name := range services {
		redis, err := u.redisURL(name)
		if err != nil {
			return nil, err
		}
		env := map[string]string{
			"POSTGRES_URL_FILE":           u.Home.urlFile(name + "_app"),
			"POSTGRES_MIGRATION_URL_FILE": u.Home.urlFile(name + "_owner"),
			"KAFKA_BROKERS":               strings.Join(u.endpoints.Kafka, ","),
			"REDIS_URL":                   redis,
			"JWT_PUBLIC_KEY_FILE":         u.Home.PublicKeyFile(),
		}
		if name == "payments" {
			env["PROVIDER_URL"] = u.throughURL("provider", u.endpoints.Provider)
			env["PROVIDER_API_KEY"] = apiKey
			env["WEBHOOK_SECRET"] = webhookSecret
		}
		u.secured(name, env)
		children = append(children, u.replicas(i, env)...)
	}
	u.endpoints.Orders = localURL(u.layout.Service(0, 0))
	u.endpoints.Inventory = localURL(u.layout.Service(1, 0))
	u.endpoints.Payments = localURL(u.layout.Service(2, 0))
	return children, nil
}

// drainDelay is how long a replica that is told to stop goes on taking calls. Its
// answers close their connections meanwhile, from which clients learn to go to
// the other. By judgement: several calls of every client, and not long enough to
// be noticed in a restart. A single replica has nobody to leave its calls to.
const drainDelay = 500 * time.Millisecond

// replicas describes every replica of services[i]. A single one has the plain
// name of its service.
func (u *upper) replicas(i int, env map[string]string) []Child {
	name := services[i]
	var children []Child
	for r := range u.Replicas {
		own, child := maps.Clone(env), name
		if u.Replicas > 1 {
			child = fmt.Sprintf("%s-%d", name, r+1)
			if os.Getenv("DRAIN_DELAY") == "" {
				own["DRAIN_DELAY"] = drainDelay.String()
			}
		}
		port, admin := u.layout.Service(i, r), u.layout.Admin(i, r)
		children = append(children, u.service(child, name, port, admin, own))
		u.endpoints.Replicas[name] = append(u.endpoints.Replicas[name], localURL(port))
	}
	u.endpoints.Admin[name] = localURL(u.layout.Admin(i, 0))
	return children
}

// service describes a child that runs the given binary.
func (u *upper) service(name, binary string, port, adminPort int, env map[string]string) Child {
	env["LISTEN_ADDR"], env["ADMIN_ADDR"] = local(port), local(adminPort)
	env["FLAGS_FILE"] = u.Home.FlagsFile()
	maps.Copy(env, u.tracing(name))
	u.endpoints.Admin[name] = localURL(adminPort)
	probe := localURL(adminPort) + "/readyz"
	return Child{
		Name: name,
		Command: func(context.Context) (*exec.Cmd, error) {
			cmd := exec.Command(filepath.Join(u.Binaries, binary))
			cmd.Env = environment(os.Environ(), env)
			if u.partitions > 0 {
				cmd.Env = append(cmd.Env, "KAFKA_PARTITIONS="+strconv.Itoa(u.partitions))
			}
			return cmd, nil
		},
		Ready:   func(ctx context.Context) error { return answersOK(ctx, probe) },
		Grace:   serviceGrace,
		Ports:   []Port{{port, name}, {adminPort, "admin listener of " + name}},
		Address: localURL(port), Probe: probe,
	}
}

// ours are the variables that tell a stack which servers to use. A service gets
// its own from the stack, so the stack's must not reach it.
var ours = []string{"POSTGRES_URL", "POSTGRES_MIGRATION_URL", "KAFKA_BROKERS", "REDIS_URL", "LISTEN_ADDR", "ADMIN_ADDR"}

// environment is the user's own, so that every setting of a service can be given
// to `ballast up` (LOG_LEVEL, RESEND_AFTER, the provider's faults), with what
// the stack decides on top.
func environment(users []string, stack map[string]string) []string {
	var env []string
	for _, kv := range users {
		name, _, _ := strings.Cut(kv, "=")
		if _, decided := stack[name]; !decided && !slices.Contains(ours, strings.TrimSuffix(name, "_FILE")) {
			env = append(env, kv)
		}
	}
	for name, value := range stack {
		env = append(env, name+"="+value)
	}
	return env
}

// answersOK returns nil when the URL answers 200.
func answersOK(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("%s does not answer yet", url)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return nil
}
