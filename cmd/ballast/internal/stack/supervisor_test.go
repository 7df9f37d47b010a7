package stack

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestKilledChildIsHealed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if err := b.sup.Start(t.Context(), fake("a", freePort(t), b.journal)); err != nil {
		t.Fatal(err)
	}
	before := b.child(t, "a")
	for n := 1; n <= 3; n++ {
		if err := syscall.Kill(b.child(t, "a").PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, "ready again", func() bool {
			c := b.child(t, "a")
			return c.State == "ready" && c.Restarts == n
		})
	}
	if after := b.child(t, "a"); after.PID == before.PID || !after.Alive() {
		t.Errorf("before %+v, after %+v", before, after)
	}
	for _, want := range []string{"a died (signal: killed): starting it again in 100ms", "a ready again after"} {
		if !b.out.contains(want) {
			t.Errorf("nothing says %q", want)
		}
	}
}

// TestStopIsInOrder also has a child that does not want to go.
func TestStopIsInOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, name := range []string{"first", "stubborn", "last"} {
		if err := b.sup.Start(t.Context(), fake(name, freePort(t), b.journal)); err != nil {
			t.Fatal(err)
		}
	}
	state, err := b.home.Load()
	if err != nil {
		t.Fatal(err)
	}
	b.sup.Stop()
	for _, c := range state.Children {
		if c.Alive() {
			t.Errorf("%s still runs", c.Name)
		}
	}
	journal, err := os.ReadFile(b.journal)
	if err != nil {
		t.Fatal(err)
	}
	// The stubborn one was killed and could write nothing.
	if diff := cmp.Diff("last\nfirst\n", string(journal)); diff != "" {
		t.Error(diff)
	}
}

func TestKillEndsThePatience(t *testing.T) {
	t.Parallel()
	b := setup(t)
	child := fake("stubborn", freePort(t), b.journal)
	child.Grace = time.Hour
	if err := b.sup.Start(t.Context(), child); err != nil {
		t.Fatal(err)
	}
	b.sup.Kill()
	b.sup.Stop()
	if b.child(t, "stubborn").State != "stopped" {
		t.Error("not stopped")
	}
}

func TestChildThatNeverStarts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	child := fake("broken", "no-port", b.journal)
	err := b.sup.Start(t.Context(), child)
	if err == nil {
		t.Fatal("it started")
	}
	for _, want := range []string{"broken does not start (exit status 3)", "cannot listen"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}

func TestStartGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	b := setup(t)
	child := fake("a", freePort(t), b.journal)
	child.Ready = func(context.Context) error { return os.ErrDeadlineExceeded }
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := b.sup.Start(ctx, child); err == nil {
		t.Fatal("it became ready")
	}
}

func TestTakenPortIsNamed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	child := fake("a", strconv.Itoa(port), b.journal)
	child.Ports = []Port{{port, "orders"}}
	err = b.sup.Start(t.Context(), child)
	if err == nil {
		t.Fatal("it started")
	}
	for _, want := range []string{"port " + strconv.Itoa(port) + " (orders) is taken", "--port-base"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}

func TestOneStackPerHome(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := NewSupervisor(t.Context(), b.home, NewConsole(b.out))
	if err == nil || !strings.Contains(err.Error(), "is in use by process "+strconv.Itoa(os.Getpid())) {
		t.Errorf("got %v", err)
	}
}

func TestTwoStacksSideBySide(t *testing.T) {
	t.Parallel()
	one, two := setup(t), setup(t)
	for _, b := range []*bundle{one, two} {
		if err := b.sup.Start(t.Context(), fake("a", freePort(t), b.journal)); err != nil {
			t.Fatal(err)
		}
	}
	one.sup.Stop()
	if c := two.child(t, "a"); !c.Alive() || c.Restarts != 0 {
		t.Errorf("the other stack's child: %+v", c)
	}
}

// TestCtrlCLeavesNoProcess runs a supervisor in a process of its own.
func TestCtrlCLeavesNoProcess(t *testing.T) {
	t.Parallel()
	home := Home(t.TempDir())
	cmd, state := startSupervisor(t, home)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, c := range state.Children {
		if c.Alive() {
			t.Errorf("%s still runs", c.Name)
		}
	}
}

// startSupervisor returns once the supervisor in the other process is ready.
func startSupervisor(t *testing.T, home Home) (*exec.Cmd, State) {
	t.Helper()
	cmd, err := play("supervisor", string(home), freePort(t), freePort(t))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	var state State
	eventually(t, "supervisor ready", func() bool {
		var err error
		state, err = home.Load()
		return err == nil && state.Phase == PhaseReady && state.Supervisor.PID == cmd.Process.Pid
	})
	return cmd, state
}

// TestStaleChildIsStopped has a child that outlived its supervisor, and beside
// it a process that only has the pid that a child once had.
func TestStaleChildIsStopped(t *testing.T) {
	t.Parallel()
	home := Home(t.TempDir())
	if err := home.prepare(); err != nil {
		t.Fatal(err)
	}
	var procs []Proc
	for _, name := range []string{"stale", "innocent"} {
		cmd, err := play("server", name, freePort(t), home.Path("journal"))
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }()
		t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
		p, ok := identify(cmd.Process.Pid)
		if !ok {
			t.Fatal("no such process")
		}
		procs = append(procs, p)
	}
	reused := Proc{PID: procs[1].PID, Start: "before"}
	if err := home.save(State{Phase: PhaseReady, Children: []ChildState{
		{Name: "stale", Proc: procs[0], StopSignal: syscall.SIGTERM},
		{Name: "reused", Proc: reused, StopSignal: syscall.SIGKILL},
	}}); err != nil {
		t.Fatal(err)
	}
	out := &buffer{}
	sup, err := NewSupervisor(t.Context(), home, NewConsole(out))
	if err != nil {
		t.Fatal(err)
	}
	defer sup.Stop()
	if procs[0].Alive() {
		t.Error("the stale child still runs")
	}
	if !procs[1].Alive() {
		t.Error("an innocent process was stopped")
	}
	if !out.contains("stopping stale (process " + strconv.Itoa(procs[0].PID) + ")") {
		t.Error("nothing says so")
	}
}

// TestRollingRestart: one after another, and never two away at once.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, name := range []string{"orders-1", "orders-2", "kafka"} {
		if err := b.sup.Start(t.Context(), fake(name, freePort(t), b.journal)); err != nil {
			t.Fatal(err)
		}
	}
	before := map[string]ChildState{"orders-1": b.child(t, "orders-1"), "orders-2": b.child(t, "orders-2"), "kafka": b.child(t, "kafka")}
	var restarted []string
	err := Restart(t.Context(), b.home, []string{"orders"}, true, func(r Restarted) {
		restarted = append(restarted, r.Name)
		if r.Name == "orders-1" && !before["orders-2"].Alive() {
			t.Error("orders-2 was stopped before orders-1 was ready again")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"orders-1", "orders-2"}, restarted); diff != "" {
		t.Error(diff)
	}
	for name, was := range before {
		now := b.child(t, name)
		if again := now.Proc != was.Proc; again != (name != "kafka") || now.State != "ready" {
			t.Errorf("%s: process %d is now %d, %s", name, was.PID, now.PID, now.State)
		}
	}
	if journal, err := os.ReadFile(b.journal); err != nil || string(journal) != "orders-1\norders-2\n" {
		t.Errorf("ended in good order: %q, %v", journal, err)
	}
	if err := Restart(t.Context(), b.home, []string{"redis"}, false, nil); err == nil || !strings.Contains(err.Error(), "nothing here is named redis") {
		t.Errorf("unknown name: %v", err)
	}
}
