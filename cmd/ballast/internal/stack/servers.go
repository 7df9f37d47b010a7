package stack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"example.com/ballast/pkg/servers"
)

// Each cache gets little memory on purpose: eviction is part of what the stack
// shows, and no service may depend on an entry being there.
const redisMemory, redisPolicy = "32mb", "allkeys-lfu"

// postgresSettings are modest: the machine has everything else to run too.
// Durability stays at Postgres's defaults: fsync, synchronous_commit and
// full_page_writes are on.
var postgresSettings = map[string]string{
	"shared_buffers":       "128MB",
	"effective_cache_size": "1GB",
	"work_mem":             "4MB",
	"maintenance_work_mem": "64MB",
	// Checkpoints further apart than the default write fewer full pages.
	"max_wal_size": "2GB",
	// A plan that was cached while a table was empty stays until the table is analyzed.
	"autovacuum_naptime":      "5s",
	"log_line_prefix":         "%m [%p] %u@%d ",
	"log_lock_waits":          "on",
	"log_min_error_statement": "panic",
}

// servers describes Postgres, the broker and the Redis servers, or takes note of
// those that are there already.
func (u *upper) servers(ctx context.Context) ([]Child, error) {
	var children []Child
	u.endpoints.Redis = map[string]string{}
	postgres, err := u.postgres(ctx)
	if err != nil {
		return nil, err
	}
	kafka, err := u.kafka(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range []*Child{postgres, kafka} {
		if c != nil {
			children = append(children, *c)
		}
	}
	for i, service := range services {
		if external := u.External.Redis[service]; external != "" {
			u.endpoints.Redis[service] = external
			u.sup.External("redis-"+service, redacted(external))
			continue
		}
		u.endpoints.Redis[service] = "redis://" + local(u.layout.Redis(i)) + "/0"
		redis, err := u.redis(service, u.layout.Redis(i))
		if err != nil {
			return nil, err
		}
		children = append(children, redis)
	}
	if u.Proxied {
		children = append(children, u.toxiproxy())
	}
	return children, nil
}

func (u *upper) postgres(ctx context.Context) (*Child, error) {
	if u.External.PostgresURL != "" {
		parsed, err := url.Parse(u.External.PostgresURL)
		if err != nil || parsed.Host == "" {
			return nil, errors.New("POSTGRES_URL: must look like postgres://user:password@host:port/database")
		}
		u.endpoints.Postgres = parsed.Host
		u.sup.External("postgres", parsed.Host)
		return nil, nil
	}
	password, err := u.Home.Secret(servers.Superuser)
	if err != nil {
		return nil, err
	}
	port := u.layout.Postgres()
	u.endpoints.Postgres = local(port)
	u.console.Printf("looking for Postgres")
	settings := maps.Clone(postgresSettings)
	// Every process has its own pools.
	settings["max_connections"] = strconv.Itoa(100 * u.Replicas)
	if u.Statements {
		settings["shared_preload_libraries"] = "pg_stat_statements"
	}
	p, err := servers.Postgres{
		Dir: u.Home.Path("postgres"), Port: port, Password: password, Settings: settings,
	}.Process(ctx)
	if err != nil {
		return nil, err
	}
	c := serverChild(p, local(port), Port{port, "postgres"})
	// A fast shutdown writes a checkpoint, which takes its time after a load.
	c.Grace = 30 * time.Second
	return &c, nil
}

func (u *upper) kafka(ctx context.Context) (*Child, error) {
	if len(u.External.KafkaBrokers) > 0 {
		u.endpoints.Kafka = u.External.KafkaBrokers
		for _, b := range u.External.KafkaBrokers {
			u.sup.External("kafka", b)
		}
		return nil, nil
	}
	port := u.layout.Kafka()
	// Clients go to the address that the broker names, whatever they were told.
	advertised := u.through("kafka", local(port))
	u.endpoints.Kafka = []string{advertised}
	if u.Broker == "apache" {
		login, err := u.adminLogin()
		if err != nil {
			return nil, err
		}
		p, err := servers.Kafka{
			AdminPassword: string(login.Password),
			Dir:           u.Home.Path("kafka-apache"), Port: port, Advertised: advertised, ControllerPort: u.layout.KafkaController(),
			Progress: func(line string) { u.console.Printf("%s", line) },
		}.Process(ctx)
		if err != nil {
			return nil, err
		}
		c := serverChild(p, local(port), Port{port, "kafka"}, Port{u.layout.KafkaController(), "kafka controller"})
		c.Grace = 20 * time.Second
		return &c, nil
	}
	return &Child{
		Name:  "kafka",
		About: "kfake, a broker written in Go that keeps its log in files; --broker apache runs the real one",
		Command: func(context.Context) (*exec.Cmd, error) {
			return exec.Command(u.Self, "broker", "--dir", u.Home.Path("kafka-kfake"), "--port", strconv.Itoa(port), "--advertised", advertised), nil
		},
		Ready:   func(ctx context.Context) error { return servers.KafkaAnswers(ctx, local(port)) },
		Ports:   []Port{{port, "kafka"}},
		Address: local(port),
	}, nil
}

func (u *upper) redis(service string, port int) (Child, error) {
	name := "redis-" + service
	describe := servers.Redis{Name: name, Dir: u.Home.Path(name), Port: port, MaxMemory: redisMemory, Policy: redisPolicy}
	if u.Secure {
		var err error
		// Redis reads it from its own directory.
		if describe.ACLFile, err = filepath.Abs(u.Home.Path("secrets", "redis", service+".acl")); err != nil {
			return Child{}, err
		}
	}
	p, err := describe.Process()
	if errors.Is(err, exec.ErrNotFound) {
		return Child{
			Name:  name,
			About: "miniredis, since there is no redis-server in PATH: eviction is not shown",
			Command: func(context.Context) (*exec.Cmd, error) {
				return exec.Command(u.Self, "miniredis", "--port", strconv.Itoa(port)), nil
			},
			Ready:   func(ctx context.Context) error { return dial(ctx, local(port)) },
			Ports:   []Port{{port, name}},
			Address: local(port),
		}, nil
	}
	if err != nil {
		return Child{}, fmt.Errorf("%s: %w", name, err)
	}
	p.About += ", " + redisMemory + ", " + redisPolicy
	return serverChild(p, local(port), Port{port, name}), nil
}

// serverChild makes a child of a server's description.
func serverChild(p servers.Process, address string, ports ...Port) Child {
	stop, _ := p.StopSignal.(syscall.Signal)
	return Child{
		Name: p.Name, About: p.About, Command: p.Command, Ready: p.Ready,
		Stop: stop, Ports: ports, Address: address,
	}
}

// dial returns nil when somebody listens.
func dial(ctx context.Context, address string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// redacted is a URL that may be printed.
func redacted(raw string) string {
	parsed, err := url.Parse(raw)
	if err != nil {
		return "(a URL that can't be read)"
	}
	return parsed.Redacted()
}
