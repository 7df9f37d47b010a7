package ratelimit_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/types/known/emptypb"

	"example.com/ballast/pkg/cache"
	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/ratelimit"
	"example.com/ballast/pkg/servers"
	"example.com/ballast/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// replica is one process of a service, behind real HTTP.
type replica struct {
	url   string
	keys  edge.KeyPair
	logs  *lines
	limit atomic.Pointer[ratelimit.Limit]
}

// start starts replicas that share a Redis.
func start(t testing.TB, address string, limit ratelimit.Limit, replicas int) []*replica {
	t.Helper()
	keys, err := edge.NewKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	var all []*replica
	for range replicas {
		client := redis.NewClient(&redis.Options{Addr: address, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true})
		t.Cleanup(func() { _ = client.Close() })
		r := &replica{keys: keys, logs: &lines{}}
		r.limit.Store(&limit)
		logger := slog.New(slog.NewTextHandler(r.logs, nil))
		limiter, err := ratelimit.New(ratelimit.Config{
			Client: client, Logger: logger, Limit: func() ratelimit.Limit { return *r.limit.Load() },
			Timeout: 5 * time.Second, // a test's machine may be busy
		})
		if err != nil {
			t.Fatal(err)
		}
		server, err := edge.NewServer(edge.Config{
			Logger: logger, Verifier: edge.NewVerifier(keys.Public), Limit: []connect.ServerInterceptor{limiter.Interceptor},
		})
		if err != nil {
			t.Fatal(err)
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
			t.Fatal(err)
		}
		hs := httptest.NewServer(handler)
		t.Cleanup(hs.Close)
		r.url = hs.URL
		all = append(all, r)
	}
	return all
}

// call makes one call as JSON and returns the answer's status, headers and body.
func (r *replica) call(t testing.TB, id edge.Identity) (int, http.Header, string) {
	t.Helper()
	token, err := edge.Sign(r.keys.Private, id, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/test.Service/Call", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(body)
}

// slow refills so slowly that a test's own time adds nothing.
var slow = ratelimit.Limit{Rate: 0.01, Burst: 10}

func TestTheBucketIsACustomers(t *testing.T) {
	t.Parallel()
	r := start(t, testkit.Redis(t), slow, 1)[0]
	ada, bob := edge.Identity{Customer: testkit.Unique(t, "ada")}, edge.Identity{Customer: testkit.Unique(t, "bob")}
	for i := range slow.Burst {
		status, header, _ := r.call(t, ada)
		if want := `"customer";r=` + strconv.Itoa(slow.Burst-1-i) + ";t=" + strconv.Itoa(100*(i+1)); status != 200 || header.Get("RateLimit") != want {
			t.Errorf("call %d: %d, RateLimit %s, want %s", i, status, header.Get("RateLimit"), want)
		}
		if got := header.Get("RateLimit-Policy"); got != `"customer";q=10;w=1000` {
			t.Errorf("RateLimit-Policy %s", got)
		}
	}
	status, header, body := r.call(t, ada)
	if status != http.StatusTooManyRequests || header.Get("Retry-After") != "100" || header.Get("RateLimit") != `"customer";r=0;t=1000` ||
		!strings.Contains(body, "RATE_LIMITED") {
		t.Errorf("beyond the burst: %d, %v, %s", status, header, body)
	}
	if status, _, _ := r.call(t, bob); status != 200 {
		t.Errorf("another customer: %d", status)
	}
	if status, header, _ := r.call(t, edge.Identity{Customer: ada.Customer, Operator: true}); status != 200 || header.Get("RateLimit") != "" {
		t.Errorf("an operator: %d, %v", status, header)
	}
}

func TestReplicasShareTheBucket(t *testing.T) {
	t.Parallel()
	all := start(t, testkit.Redis(t), slow, 2)
	ada := edge.Identity{Customer: testkit.Unique(t, "ada")}
	var taken atomic.Int64
	var group sync.WaitGroup
	for i := range 4 * slow.Burst {
		group.Go(func() {
			if status, _, _ := all[i%2].call(t, ada); status == 200 {
				taken.Add(1)
			}
		})
	}
	group.Wait()
	if taken.Load() != int64(slow.Burst) {
		t.Errorf("two replicas took %d calls, want the burst of %d", taken.Load(), slow.Burst)
	}
}

func TestLimitReloads(t *testing.T) {
	t.Parallel()
	r := start(t, testkit.Redis(t), slow, 1)[0]
	ada := edge.Identity{Customer: testkit.Unique(t, "ada")}
	r.limit.Store(&ratelimit.Limit{Rate: 100, Burst: 1}) // not valid: the old one stays
	if _, header, _ := r.call(t, ada); header.Get("RateLimit-Policy") != `"customer";q=10;w=1000` {
		t.Errorf("an invalid limit: %v", header)
	}
	r.limit.Store(&ratelimit.Limit{Rate: 5, Burst: 50})
	if _, header, _ := r.call(t, ada); header.Get("RateLimit-Policy") != `"customer";q=50;w=10` {
		t.Errorf("a new limit: %v", header)
	}
}

// Redis is killed, and comes back: calls go on all the time, held to the limit by
// each process for itself, and both turns are told once.
func TestRedisIsKilledAndComesBack(t *testing.T) {
	t.Parallel()
	port, err := servers.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	process := redisProcess(t, servers.Redis{Port: port})
	running, err := servers.Start(t.Context(), process, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, "127.0.0.1:"+strconv.Itoa(port), slow, 1)[0]
	ada := edge.Identity{Customer: "ada"}
	if status, _, _ := r.call(t, ada); status != 200 {
		t.Fatalf("with Redis: %d", status)
	}
	running.Kill()
	taken := 0
	for range 3 * slow.Burst {
		switch status, header, _ := r.call(t, ada); {
		case status == 200:
			taken++
		case status != http.StatusTooManyRequests || header.Get("Retry-After") == "":
			t.Fatalf("without Redis: %d, %v", status, header)
		}
	}
	if taken != slow.Burst {
		t.Errorf("without Redis %d calls were taken, want the burst of %d", taken, slow.Burst)
	}
	running, err = servers.Start(t.Context(), process, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(running.Kill)
	testkit.Eventually(t, "the shared bucket is asked again", func() bool {
		r.call(t, edge.Identity{Customer: "bob"})
		return strings.Contains(r.logs.String(), "shared again")
	})
	if n := strings.Count(r.logs.String(), "counted per process"); n != 1 {
		t.Errorf("%d lines that Redis is away, want 1:\n%s", n, r.logs)
	}
}

// TestEvictionSparesWhoHammers is why allkeys-lfu suits buckets: what is evicted
// is what is seldom asked for, and an abuser asks for his all the time. The cache
// is churned twenty times over while he tries.
func TestEvictionSparesWhoHammers(t *testing.T) {
	t.Parallel()
	process := redisProcess(t, servers.Redis{MaxMemory: "4mb", Policy: "allkeys-lfu"})
	running, err := servers.Start(t.Context(), process, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(running.Kill)
	address := strings.TrimSuffix(strings.TrimPrefix(process.URL, "redis://"), "/0")
	r := start(t, address, slow, 1)[0]
	client := redis.NewClient(&redis.Options{Addr: address})
	t.Cleanup(func() { _ = client.Close() })
	ada := edge.Identity{Customer: "ada"}
	taken := 0
	value := strings.Repeat("x", 1000)
	for round := range 200 {
		for range 10 {
			if status, _, _ := r.call(t, ada); status == 200 {
				taken++
			}
		}
		pipe := client.Pipeline()
		for i := range 400 {
			pipe.Set(t.Context(), "churn:"+strconv.Itoa(400*round+i), value, 0)
		}
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	stats, err := client.Info(t.Context(), "stats").Result()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(stats, "evicted_keys:0\r") {
		t.Fatal("nothing was evicted: the test shows nothing")
	}
	if taken > 2*slow.Burst {
		t.Errorf("%d of 2,000 calls were taken while the cache was churned, want about %d", taken, slow.Burst)
	}
}

func redisProcess(t *testing.T, r servers.Redis) servers.Process {
	t.Helper()
	r.Dir = t.TempDir()
	process, err := r.Process()
	if err != nil {
		t.Fatal(err)
	}
	return process
}

// lines collects a log from many goroutines.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// BenchmarkTake is what the limit adds to a call: one round trip.
func BenchmarkTake(b *testing.B) {
	client, err := cache.Open("redis://" + testkit.Redis(b) + "/0")
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	limiter, err := ratelimit.New(ratelimit.Config{
		Client: client, Logger: slog.New(slog.DiscardHandler),
		Limit: func() ratelimit.Limit { return ratelimit.Limit{Rate: 1e6, Burst: 1e6} },
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx := edge.WithCaller(b.Context(), edge.Identity{Customer: "ada"})
	call := limiter.Interceptor(func(context.Context, connect.Spec, connect.ServerStream) error { return nil })
	for b.Loop() {
		if err := call(ctx, connect.Spec{}, nil); err != nil {
			b.Fatal(err)
		}
	}
}
