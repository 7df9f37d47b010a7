package access

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/types/known/emptypb"

	"example.com/ballast/pkg/cache"
	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/ratelimit"
	"example.com/ballast/pkg/servers"
)

// stores are the Redis servers of a Ballast, one for each service.
type stores struct {
	t       *testing.T
	secrets string
	hosts   map[string]string
}

func startStores(t *testing.T) *stores {
	t.Helper()
	s := &stores{t: t, secrets: t.TempDir(), hosts: map[string]string{}}
	if err := (Secrets{Dir: s.secrets, Postgres: "p:1", Redis: "%s:1", Mode: 0o600}).Make(io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, name := range Names() {
		process, err := servers.Redis{Dir: t.TempDir(), ACLFile: filepath.Join(s.secrets, "redis", name+".acl")}.Process()
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var log strings.Builder
		running, err := servers.Start(ctx, process, &log)
		if err != nil {
			t.Fatalf("%v\n%s", err, log.String())
		}
		t.Cleanup(running.Kill)
		at, err := url.Parse(process.URL)
		if err != nil {
			t.Fatal(err)
		}
		s.hosts[name] = at.Host
	}
	return s
}

// url is the one of the secrets, at where the server of a service really is.
func (s *stores) url(user, at string) string {
	s.t.Helper()
	raw, err := Passwords(s.secrets + "/redis")(user + ".url")
	if err != nil {
		s.t.Fatal(err)
	}
	u, err := url.Parse(raw)
	if err != nil {
		s.t.Fatal(err)
	}
	u.Host = s.hosts[at]
	return u.String()
}

// do sends a command to the Redis of a service, as a user; without one nobody logs in.
func (s *stores) do(user, at string, command ...any) func() error {
	return func() error {
		options := &redis.Options{Addr: s.hosts[at], MaxRetries: -1}
		switch user {
		case "":
		case "health":
			options.Username, options.Password = user, "any"
		default:
			var err error
			if options, err = redis.ParseURL(s.url(user, at)); err != nil {
				return err
			}
		}
		client := redis.NewClient(options)
		defer client.Close()
		if err := client.Do(s.t.Context(), command...).Err(); !errors.Is(err, redis.Nil) {
			return err
		}
		return nil
	}
}

// cached runs the cache as services use it: what was read once comes from Redis, until
// it has changed.
func (s *stores) cached(service, name string) func() error {
	return func() error {
		r, err := cache.Connect(s.url(service, service), slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		defer r.Close()
		loads := 0
		c, err := cache.New(cache.Config[string, string]{
			Name: name, Redis: r, Logger: slog.New(slog.DiscardHandler), Key: func(k string) string { return k },
			Encode:  func(v string) ([]byte, error) { return []byte(v), nil },
			Decode:  func(b []byte) (string, error) { return string(b), nil },
			Version: func(string) int64 { return 1 },
			Load:    func(context.Context, string) (string, bool, error) { loads++; return "v", true, nil },
		})
		if err != nil {
			return err
		}
		for i, want := range []int{1, 1, 2} {
			if i == 2 {
				c.Invalidate(s.t.Context(), cache.Change[string]{Key: "k", Version: 2})
			}
			if _, err := c.Get(s.t.Context(), "k"); err != nil || loads != want {
				return fmt.Errorf("%d loads, want %d: %w", loads, want, err)
			}
		}
		return nil
	}
}

// TestRedisDenies: the cache and the limits of a service work with what its user may
// do, and nothing else does.
func TestRedisDenies(t *testing.T) {
	t.Parallel()
	s := startStores(t)
	const denied, noLogin = "NOPERM", "WRONGPASS"
	// What a script may not do is said in other words by each version of Redis.
	const script = `local r = redis.pcall('get', 'product:1'); if r and r.err then return redis.error_reply('NOPERM in a script') end; return r`
	attempts := []attempt{
		{"nobody", "ask whether orders' Redis is there", s.do("", "orders", "ping"), "NOAUTH"},
		{"nobody", "read a key", s.do("", "orders", "get", "order:1"), "NOAUTH"},
		{"health", "ask whether orders' Redis is there", s.do("health", "orders", "ping"), ""},
		{"health", "read a key", s.do("health", "orders", "get", "order:1"), denied},
		{"orders", "cache orders, and forget one that has changed", s.cached("orders", "order"), ""},
		{"orders", "count calls in one bucket for two replicas", s.limited("orders"), ""},
		{"orders", "measure its Redis", s.measured("orders"), ""},
		{"inventory", "cache products, and forget one that has changed", s.cached("inventory", "product"), ""},
		{"inventory", "count calls in one bucket for two replicas", s.limited("inventory"), ""},
		{"inventory", "measure its Redis", s.measured("inventory"), ""},
		{"orders", "read inventory's keys in its own Redis", s.do("orders", "orders", "get", "product:1"), denied},
		{"orders", "read them by a script", s.do("orders", "orders", "eval", script, 0), denied},
		{"orders", "log in to inventory's Redis", s.do("orders", "inventory", "ping"), noLogin},
		{"payments", "log in to orders' Redis", s.do("payments", "orders", "ping"), noLogin},
		{"payments", "read a key of its own Redis, for which it has no use", s.do("payments", "payments", "get", "order:1"), denied},
	}
	for _, command := range [][]any{
		{"flushall"}, {"flushdb"}, {"keys", "*"}, {"scan", 0}, {"config", "get", "*"}, {"config", "set", "maxmemory", 0}, {"script", "flush"}, {"script", "load", "return 1"},
		{"acl", "list"}, {"acl", "setuser", "orders", "+@all"}, {"client", "kill", "type", "normal"}, {"monitor"}, {"shutdown"}, {"save"},
		{"replicaof", "127.0.0.1", 1}, {"module", "list"}, {"publish", "c", "m"}, {"migrate", "127.0.0.1", 1, "order:1", 0, 1}, {"mset", "order:1", 1}, {"expire", "order:1", 1},
	} {
		what := strings.ToUpper(strings.TrimSuffix(fmt.Sprintln(command...), "\n"))
		attempts = append(attempts, attempt{"orders", "`" + what + "`", s.do("orders", "orders", command...), denied})
	}
	judge(t, "redis", attempts)
}

func (s *stores) measured(service string) func() error {
	return func() error {
		r, err := cache.Connect(s.url(service, service), slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		defer r.Close()
		_, err = r.Info(s.t.Context())
		return err
	}
}

// limited runs the limiter behind real HTTP in two replicas that share buckets of two
// calls. One that could not use Redis would count by itself and let a third call pass.
func (s *stores) limited(service string) func() error {
	return func() error {
		keys, err := edge.NewKeyPair()
		if err != nil {
			return err
		}
		token, err := edge.Sign(keys.Private, edge.Identity{Customer: "ada"}, time.Now(), time.Hour)
		if err != nil {
			return err
		}
		var replicas []string
		for range 2 {
			at, err := s.replica(service, keys)
			if err != nil {
				return err
			}
			replicas = append(replicas, at)
		}
		for i, want := range []int{http.StatusOK, http.StatusOK, http.StatusTooManyRequests} {
			req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, replicas[i%2]+"/test.Service/Call", strings.NewReader("{}"))
			if err != nil {
				return err
			}
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Authorization", "Bearer "+token)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				return err
			}
			_ = res.Body.Close()
			if res.StatusCode != want {
				return fmt.Errorf("call %d is answered %d, want %d", i+1, res.StatusCode, want)
			}
		}
		return nil
	}
}

func (s *stores) replica(service string, keys edge.KeyPair) (at string, err error) {
	logger := slog.New(slog.DiscardHandler)
	client, err := cache.Open(s.url(service, service))
	if err != nil {
		return "", err
	}
	s.t.Cleanup(func() { _ = client.Close() })
	limiter, err := ratelimit.New(ratelimit.Config{
		Client: client, Logger: logger, Limit: func() ratelimit.Limit { return ratelimit.Limit{Rate: 1e-6, Burst: 2} },
		Timeout: 5 * time.Second, // a test's machine may be busy
	})
	if err != nil {
		return "", err
	}
	server, err := edge.NewServer(edge.Config{
		Logger: logger, Verifier: edge.NewVerifier(keys.Public), Limit: []connect.ServerInterceptor{limiter.Interceptor},
	})
	if err != nil {
		return "", err
	}
	server.RPC.Register(connect.Method{
		Spec: connect.Spec{StreamType: connect.StreamTypeUnary, Procedure: "/test.Service/Call"},
		Handler: func(_ context.Context, _ connect.Spec, stream connect.ServerStream) error {
			if err := stream.Receive(&emptypb.Empty{}); err != nil {
				return err
			}
			return stream.Send(&emptypb.Empty{})
		},
	})
	handler, err := server.Handler()
	if err != nil {
		return "", err
	}
	public := httptest.NewServer(handler)
	s.t.Cleanup(public.Close)
	return public.URL, nil
}
