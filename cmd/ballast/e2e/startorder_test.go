package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kfake"

	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/servers"
)

// lone is a service that was started by itself.
type lone struct {
	name, admin string
	mu          sync.Mutex
	log         strings.Builder
}

func (l *lone) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.log.Write(p)
}

func (l *lone) said(what string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.log.String(), what)
}

// readyz returns the status and what the service says about itself.
func (l *lone) readyz(ctx context.Context) (int, string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.admin+"/readyz", http.NoBody)
	if err != nil {
		return 0, err.Error()
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(body)
}

// waitsFor waits until the service says so, in its log and on /readyz.
func (l *lone) waitsFor(t *testing.T, what string) {
	t.Helper()
	within(t, l.name+" waits for "+what, func() bool {
		status, body := l.readyz(t.Context())
		return status == http.StatusServiceUnavailable && strings.Contains(body, what) && l.said("waiting for "+what)
	})
}

// within polls for half a minute.
func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

// TestTheOrderOfStartDoesNotMatter starts each service with nothing there, then
// what it needs in the wrong order. Each says what it waits for and comes up. Of
// Redis and the provider, which never come, none needs anything to start.
func TestTheOrderOfStartDoesNotMatter(t *testing.T) {
	t.Parallel()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	postgres := stoppedPostgres(t)
	kafka := freePort(t)
	services := map[string]*lone{}
	for _, name := range []string{"orders", "inventory", "payments"} {
		services[name] = startAlone(t, bin, name, postgres, kafka)
	}
	for _, l := range services {
		l.waitsFor(t, "postgres at ")
	}
	startServer(t, postgres)
	for _, l := range services {
		l.waitsFor(t, "kafka at ")
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(kafka))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	for _, l := range services {
		within(t, l.name+" is ready", func() bool { status, _ := l.readyz(t.Context()); return status == http.StatusOK })
	}
}

func startAlone(t *testing.T, bin, name string, postgres servers.Process, kafka int) *lone {
	t.Helper()
	keys, err := edge.NewKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	_, public, err := keys.PEM()
	if err != nil {
		t.Fatal(err)
	}
	keyFile := filepath.Join(t.TempDir(), "public.pem")
	if err := os.WriteFile(keyFile, public, 0o600); err != nil {
		t.Fatal(err)
	}
	l := &lone{name: name, admin: fmt.Sprint("127.0.0.1:", freePort(t))}
	url := strings.Replace(postgres.URL, "/postgres?", "/"+name+"?", 1)
	cmd := exec.Command(filepath.Join(bin, name)) //nolint:gosec // built above, ended below
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "POSTGRES_URL=" + url, "POSTGRES_MIGRATION_URL=" + url,
		fmt.Sprint("KAFKA_BROKERS=127.0.0.1:", kafka), "JWT_PUBLIC_KEY_FILE=" + keyFile,
		"LISTEN_ADDR=127.0.0.1:0", "ADMIN_ADDR=" + l.admin, "OTEL_SDK_DISABLED=true",
		"REDIS_URL=redis://127.0.0.1:1/0", "PROVIDER_URL=http://127.0.0.1:1", "PROVIDER_API_KEY=sk_test_1",
	}
	cmd.Stdout, cmd.Stderr = l, l
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", name, l.log.String())
		}
	})
	return l
}

// stoppedPostgres is a server that has a database for each service and is away.
func stoppedPostgres(t *testing.T) servers.Process {
	t.Helper()
	dir, err := os.MkdirTemp("", "ballast-start-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // the server may run as another user
		t.Fatal(err)
	}
	p, err := servers.Postgres{Dir: filepath.Join(dir, "data"), Settings: map[string]string{"fsync": "off"}}.Process(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	running := startServer(t, p)
	conn, err := pgx.Connect(t.Context(), p.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"orders", "inventory", "payments"} {
		if _, err := conn.Exec(t.Context(), "create database "+name); err != nil {
			t.Fatal(err)
		}
	}
	_ = conn.Close(t.Context()) // The server ends it anyway.
	if err := running.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

func startServer(t *testing.T, p servers.Process) *servers.Running {
	t.Helper()
	running, err := servers.Start(t.Context(), p, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(running.Kill)
	return running
}

func freePort(t *testing.T) int {
	t.Helper()
	port, err := servers.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}
