package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/ballast/cmd/ballast/internal/stack"
	"example.com/ballast/pkg/testkit"
)

// TestMain lets the test binary be ballast, and under the names of the services,
// to which it is linked, a service that is ready and does nothing.
func TestMain(m *testing.M) {
	switch name := filepath.Base(os.Args[0]); {
	case slices.Contains(serviceNames, name):
		fakeService()
	case os.Getenv("BALLAST_TEST_MAIN") != "":
		main()
	default:
		testkit.Main(m)
	}
}

var serviceNames = []string{"provider", "orders", "inventory", "payments"}

func fakeService() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	for _, name := range []string{"LISTEN_ADDR", "ADMIN_ADDR"} {
		l, err := net.Listen("tcp", os.Getenv(name))
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		go func() { _ = http.Serve(l, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})) }()
	}
	<-ctx.Done()
}

// bench is a home directory with the means to run ballast on it.
type bench struct {
	home stack.Home
	args []string
}

// setup links the fake services and finds a range of ports that is free. Tests
// that run at once give different slots, or both could find the same.
func setup(t *testing.T, slot int) bench {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	for _, name := range serviceNames {
		if err := os.Symlink(self, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	home := stack.Home(t.TempDir())
	return bench{home, []string{
		"up", "--home", string(home), "--binaries", bin, "--catalogue=false", "--port-base", strconv.Itoa(portBase(t, slot)),
	}}
}

// portBase returns the beginning of sixty free ports, below those that the
// kernel gives to clients.
func portBase(t *testing.T, slot int) int {
	t.Helper()
	for base := 20000 + os.Getpid()%100*60 + slot*6000; base < 32000; base += 60 {
		var listeners []net.Listener
		for port := base; port < base+60; port++ {
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
			if err != nil {
				break
			}
			listeners = append(listeners, l)
		}
		for _, l := range listeners {
			_ = l.Close()
		}
		if len(listeners) == 60 {
			return base
		}
	}
	t.Fatal("no free ports")
	return 0
}

// ballast is a command that runs this binary as ballast.
func ballast(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), "BALLAST_TEST_MAIN=1", "POSTGRES_URL=", "KAFKA_BROKERS=", "REDIS_URL=")
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	return cmd
}

func (b bench) eventually(t *testing.T, what string, ok func(stack.State) bool) stack.State {
	t.Helper()
	deadline := time.After(60 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if s, err := b.home.Load(); err == nil && ok(s) {
			return s
		}
		select {
		case <-deadline:
			t.Fatalf("not within 60 s: %s", what)
		case <-tick.C:
		}
	}
}

// TestUpHealsAndStops kills each process of a stack on real servers and then
// stops it as Ctrl-C does.
func TestUpHealsAndStops(t *testing.T) {
	t.Parallel()
	b := setup(t, 0)
	up := ballast(t, b.args...)
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = up.Process.Kill() })
	state := b.eventually(t, "up", func(s stack.State) bool { return s.Phase == stack.PhaseReady })
	for _, victim := range state.Children {
		if err := syscall.Kill(victim.PID, syscall.SIGKILL); err != nil {
			t.Fatalf("kill %s: %v", victim.Name, err)
		}
	}
	state = b.eventually(t, "healed", func(s stack.State) bool {
		return s.AllReady() && !slices.ContainsFunc(s.Children, func(c stack.ChildState) bool { return c.Restarts == 0 })
	})
	if err := up.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := up.Wait(); err != nil {
		t.Errorf("up ended with %v", err)
	}
	for _, c := range state.Children {
		if c.Alive() {
			t.Errorf("%s (process %d) still runs", c.Name, c.PID)
		}
	}
}

// TestDetachStatusDown is the same life, told by the other commands.
func TestDetachStatusDown(t *testing.T) {
	t.Parallel()
	b := setup(t, 1)
	if err := ballast(t, "status", "--home", string(b.home)).Run(); err == nil {
		t.Error("the status of nothing is a success")
	}
	for range 2 { // The second time, everything is there already.
		if err := ballast(t, append(b.args, "--detach")...).Run(); err != nil {
			t.Fatal(err)
		}
		status := ballast(t, "status", "--json", "--home", string(b.home))
		status.Stdout = nil
		out, err := status.Output()
		if err != nil {
			t.Fatal(err)
		}
		var state stack.State
		if err := json.Unmarshal(out, &state); err != nil || !state.AllReady() {
			t.Fatalf("%v: %s", err, out)
		}
		roles(t, b.home)
		if err := ballast(t, "down", "--home", string(b.home)).Run(); err != nil {
			t.Fatal(err)
		}
		for _, c := range append(state.Children, stack.ChildState{Name: "supervisor", Proc: state.Supervisor}) {
			if c.Alive() {
				t.Errorf("%s (process %d) still runs", c.Name, c.PID)
			}
		}
	}
}

// roles checks what each role may and may not do.
func roles(t *testing.T, home stack.Home) {
	t.Helper()
	run := func(role, database, sql string) error {
		url, err := home.RoleURL(role)
		if err != nil {
			t.Fatal(err)
		}
		config, err := pgx.ParseConfig(url)
		if err != nil {
			t.Fatal(err)
		}
		config.Database = database
		conn, err := pgx.ConnectConfig(t.Context(), config)
		if err != nil {
			return err
		}
		defer conn.Close(t.Context())
		_, err = conn.Exec(t.Context(), sql)
		return err
	}
	for _, c := range []struct {
		role, database, sql string
		allowed             bool
	}{
		{"orders_owner", "orders", "CREATE TABLE IF NOT EXISTS t (id bigint GENERATED ALWAYS AS IDENTITY, v text); GRANT INSERT, SELECT, UPDATE ON t TO orders_app", true},
		{"orders_app", "orders", "INSERT INTO t (v) VALUES ('x')", true},
		{"orders_app", "orders", "UPDATE t SET v = 'y'", true},
		{"orders_app", "orders", "CREATE TABLE u (v text)", false},
		{"orders_app", "orders", "DROP TABLE t", false},
		{"orders_app", "orders", "TRUNCATE t", false},
		{"orders_app", "orders", "DELETE FROM t", false},
		{"orders_app", "payments", "SELECT 1", false},
		{"orders_app", "postgres", "SELECT 1", false},
		{"orders_owner", "payments", "SELECT 1", false},
		{"payments_owner", "orders", "SELECT 1", false},
	} {
		if err := run(c.role, c.database, c.sql); (err == nil) != c.allowed {
			t.Errorf("%s in %s: %s: %v", c.role, c.database, c.sql, err)
		}
	}
}
