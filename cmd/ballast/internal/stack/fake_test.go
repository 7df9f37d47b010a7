package stack

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary play the children of a stack, and a supervisor
// that can be killed: BALLAST_FAKE says which, its arguments how.
func TestMain(m *testing.M) {
	switch os.Getenv("BALLAST_FAKE") {
	case "":
		os.Exit(m.Run())
	case "server":
		fakeServer(os.Args[1], os.Args[2], os.Args[3])
	case "supervisor":
		fakeSupervisor(Home(os.Args[1]), os.Args[2], os.Args[3])
	}
}

// fakeServer serves on the port until SIGTERM, writes its name to the journal
// when it ends, and if its name says so does not end.
func fakeServer(name, port, journal string) {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		fmt.Println("cannot listen:", err)
		os.Exit(3)
	}
	go func() {
		_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	}()
	for range stop {
		if name != "stubborn" {
			break
		}
	}
	f, err := os.OpenFile(journal, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		fmt.Fprintln(f, name)
		_ = f.Close()
	}
}

// fakeSupervisor runs two fake servers until SIGINT, as `ballast up` would.
func fakeSupervisor(home Home, port1, port2 string) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	s, err := NewSupervisor(ctx, home, NewConsole(os.Stdout))
	if err == nil {
		err = s.Start(ctx, fake("a", port1, home.Path("journal")), fake("b", port2, home.Path("journal")))
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	s.SetPhase(PhaseReady)
	<-ctx.Done()
	s.Stop()
}

// fake is a child that is a fakeServer.
func fake(name, port, journal string) Child {
	url := "http://127.0.0.1:" + port
	return Child{
		Name: name, Address: url, Probe: url, Grace: 500 * time.Millisecond,
		Command: func(context.Context) (*exec.Cmd, error) {
			return play("server", name, port, journal)
		},
		Ready: func(ctx context.Context) error { return answersOK(ctx, url) },
	}
}

// play is a command that runs the test binary in another role.
func play(role string, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), "BALLAST_FAKE="+role)
	return cmd, nil
}

// bundle is what most tests need.
type bundle struct {
	sup     *Supervisor
	home    Home
	journal string
	out     *buffer
}

// setup makes a supervisor that is stopped at the end of the test.
func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{home: Home(t.TempDir()), out: &buffer{}}
	b.journal = b.home.Path("journal")
	sup, err := NewSupervisor(t.Context(), b.home, NewConsole(b.out))
	if err != nil {
		t.Fatal(err)
	}
	b.sup = sup
	t.Cleanup(func() {
		if state, err := b.home.Load(); err != nil || state.Phase != PhaseStopped {
			sup.Stop()
		}
	})
	return b
}

// child is the recorded state of a child.
func (b *bundle) child(t *testing.T, name string) ChildState {
	t.Helper()
	state, err := b.home.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range state.Children {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no child %s in %+v", name, state)
	return ChildState{}
}

// eventually waits for what must become true within 15 seconds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(15 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not within 15 s: %s", what)
		case <-tick.C:
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) contains(s string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Contains(b.b.String(), s)
}
