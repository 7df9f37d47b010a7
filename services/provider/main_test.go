package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85"

	"example.com/ballast/services/provider/internal/book"
)

// childVariable makes the test binary be the provider: what is killed is a
// real process.
const childVariable = "PROVIDER_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// process is a provider that runs on its own.
type process struct {
	*stripe.Client
	url   string
	kill  func()
	state func() *os.ProcessState // after kill
}

func start(t testing.TB, bookFile string, env ...string) process {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"=1", "LISTEN_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0",
		"BOOK_FILE="+bookFile, "SEED=1")
	cmd.Env = append(cmd.Env, env...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := sync.OnceFunc(func() {
		cancel() // SIGKILL
		_ = cmd.Wait()
	})
	t.Cleanup(kill)
	address := regexp.MustCompile(`"LISTEN_ADDR","addr":"([^"]+)"`)
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		m := address.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		go func() { _, _ = io.Copy(io.Discard, stderr) }()
		url := "http://" + m[1]
		return process{
			Client: connect(url), url: url, kill: kill, state: func() *os.ProcessState { return cmd.ProcessState },
		}
	}
	t.Fatal("the provider printed no address")
	return process{}
}

func connect(url string) *stripe.Client {
	return stripe.NewClient("sk_test_1", stripe.WithBackends(stripe.NewBackendsWithConfig(&stripe.BackendConfig{
		URL: &url, HTTPClient: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
		MaxNetworkRetries: stripe.Int64(0), LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull},
	})))
}

// answered is what a client was told before the provider died.
type answered struct {
	mu       sync.Mutex
	created  map[string]string // order -> intent
	captured map[string]string
	wanted   int
	reached  chan struct{}
}

// enough returns a channel that closes when n captures were answered.
func (a *answered) enough(n int) <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wanted, a.reached = n, make(chan struct{})
	return a.reached
}

func (a *answered) capture(order, id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.captured[order] = id
	if len(a.captured) == a.wanted {
		close(a.reached)
	}
}

// load makes one payment after the other until the provider is gone.
func load(ctx context.Context, p process, worker, round int, a *answered) {
	for i := 0; ; i++ {
		order := fmt.Sprintf("%08d-0000-7000-8000-%012d", round*1000+worker, i)
		create := &stripe.PaymentIntentCreateParams{
			Amount: stripe.Int64(500), Currency: stripe.String("gbp"), PaymentMethod: stripe.String("pm_card_visa"),
			Metadata: map[string]string{"order_id": order},
		}
		create.SetIdempotencyKey("pi:" + order)
		pi, err := p.V1PaymentIntents.Create(ctx, create)
		if err != nil {
			return
		}
		a.mu.Lock()
		a.created[order] = pi.ID
		a.mu.Unlock()
		confirm := &stripe.PaymentIntentConfirmParams{}
		confirm.SetIdempotencyKey("confirm:" + order)
		if _, err := p.V1PaymentIntents.Confirm(ctx, pi.ID, confirm); err != nil {
			return
		}
		a.capture(order, pi.ID)
	}
}

// Killed again and again under load, the provider forgets nothing that it has
// answered, and takes nothing twice when every call is repeated.
func TestKillForgetsNothing(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "book")
	a := &answered{created: map[string]string{}, captured: map[string]string{}}
	for round := range 3 {
		p := start(t, file)
		enough := a.enough(len(a.captured) + 100)
		var wg sync.WaitGroup
		for worker := range 8 {
			wg.Go(func() { load(t.Context(), p, worker, round, a) })
		}
		<-enough
		p.kill()
		wg.Wait()
		// What a crash in the middle of a write leaves behind.
		f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteString(`{"seq":99,"kind":"capt`)
		if err = errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	p := start(t, file)
	for order, id := range a.created {
		confirm := &stripe.PaymentIntentConfirmParams{}
		confirm.SetIdempotencyKey("confirm:" + order)
		pi, err := p.V1PaymentIntents.Confirm(t.Context(), id, confirm)
		if err != nil || pi.Status != stripe.PaymentIntentStatusSucceeded || pi.Metadata["order_id"] != order {
			t.Fatalf("%s: %+v, %v", order, pi, err)
		}
		known := pi.LastResponse.Header.Get("Idempotent-Replayed") == "true"
		if _, told := a.captured[order]; told && !known {
			t.Errorf("%s was answered before and is not remembered", order)
		}
	}
	captures := map[string]int{}
	for _, e := range readBook(t, p.url) {
		if e.Kind == book.Captured {
			captures[e.OrderID]++
		}
	}
	for order := range a.created {
		if captures[order] != 1 {
			t.Errorf("%s has %d captures in the book", order, captures[order])
		}
	}
}

func readBook(t *testing.T, url string) (all []book.Entry) {
	t.Helper()
	res, err := http.Get(url + "/book")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	for dec := json.NewDecoder(res.Body); dec.More(); {
		var e book.Entry
		if err := dec.Decode(&e); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// SIGTERM (here: the end of the context) ends a call that a fault lets hang.
func TestStopsWhileACallHangs(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	env := map[string]string{
		"LISTEN_ADDR": "127.0.0.1:0", "ADMIN_ADDR": "127.0.0.1:0", "BOOK_FILE": filepath.Join(t.TempDir(), "book"),
		"FAULTS": `{"outage":"hang"}`,
	}
	go func() { done <- run(ctx, nil, lookup(env), w) }()
	address := regexp.MustCompile(`"LISTEN_ADDR","addr":"([^"]+)"`)
	var url string
	lines := bufio.NewScanner(r)
	for url == "" && lines.Scan() {
		if m := address.FindStringSubmatch(lines.Text()); m != nil {
			url = "http://" + m[1]
		}
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	failed := make(chan error, 1)
	go func() {
		_, err := connect(url).V1PaymentIntents.Retrieve(t.Context(), "pi_1", nil)
		failed <- err
	}()
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	select {
	case err := <-failed:
		if err == nil {
			t.Error("a hanging call was answered")
		}
	case <-time.After(10 * time.Second):
		t.Error("the hanging call outlived its server")
	}
}

func lookup(env map[string]string) func(string) string {
	return func(name string) string { return env[name] }
}

func TestHealthAsksTheAdminListener(t *testing.T) {
	t.Parallel()
	status := http.StatusOK
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		w.WriteHeader(status)
	}))
	_, port, _ := strings.Cut(strings.TrimPrefix(admin.URL, "http://"), ":")
	env := lookup(map[string]string{"ADMIN_ADDR": ":" + port})
	if err := health(t.Context(), nil, env, io.Discard); err != nil {
		t.Errorf("it answers, and health says %v", err)
	}
	status = http.StatusServiceUnavailable
	if err := health(t.Context(), nil, env, io.Discard); err == nil {
		t.Error("it is not ready, and health says nothing")
	}
	admin.Close()
	if err := health(t.Context(), nil, env, io.Discard); err == nil {
		t.Error("nobody listens, and health says nothing")
	}
}

func TestSettingsFromFiles(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("sk_test_file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := loadConfig(nil, lookup(map[string]string{"PROVIDER_API_KEY_FILE": file}), 0, io.Discard)
	if err != nil || c.APIKey != "sk_test_file" {
		t.Errorf("API key %q, %v", c.APIKey, err)
	}
	_, err = loadConfig(nil, lookup(map[string]string{"PROVIDER_API_KEY_FILE": file + ".gone"}), 0, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "PROVIDER_API_KEY_FILE") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestWrongSettingsAreNamed(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"BOOK_FSYNC": "maybe", "KEY_TTL": "10", "MAX_INTENTS": "-1", "SEED": "x", "FAULTS": `{"decline_rate":2}`,
	}
	var out bytes.Buffer
	_, err := loadConfig(nil, lookup(env), 0, &out)
	for name := range env {
		if err == nil || !strings.Contains(err.Error(), name+" is") && !strings.Contains(err.Error(), name+":") {
			t.Errorf("%s is not named in: %v", name, err)
		}
	}
	c, err := loadConfig([]string{"-listen-addr", "b:2"}, lookup(map[string]string{"LISTEN_ADDR": "a:1", "SEED": "5"}), 0, &out)
	if err != nil || c.Listen != "b:2" || c.Seed != 5 || !c.BookFsync || c.KeyTTL != 24*time.Hour {
		t.Errorf("%+v, %v", c, err)
	}
}
