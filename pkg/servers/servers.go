// Package servers finds real servers on this machine and describes how to run
// them as child processes, without Docker: PostgreSQL, Redis and Kafka. The
// local stack and the tests run the very same descriptions.
package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// Process describes one server that can be started, and started again after it
// died: everything that it must keep lives in its directory and its port.
type Process struct {
	// Name is short and stable, for logs: "postgres".
	Name string
	// About says what was found and where, for people.
	About string
	// URL is where clients reach the server once it is ready.
	URL string
	// Command prepares the data directory when that is needed and returns a
	// fresh, unstarted command. It is called once per start.
	Command func(ctx context.Context) (*exec.Cmd, error)
	// Ready probes once: nil when the server answers.
	Ready func(ctx context.Context) error
	// StopSignal asks for an orderly end.
	StopSignal os.Signal
}

// Running is a started Process.
type Running struct {
	Process
	cmd  *exec.Cmd
	done chan struct{}
	err  error // why it ended; read after done
}

// Start starts p with its output going to out, and returns once it is ready.
// When ctx ends first, or the process does, what was started is killed.
func Start(ctx context.Context, p Process, out io.Writer) (*Running, error) {
	cmd, err := p.Command(ctx)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	r := &Running{Process: p, cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = cmd.Wait()
	}()
	if err := r.waitReady(ctx); err != nil {
		r.Kill()
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	return r, nil
}

func (r *Running) waitReady(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		probe, cancel := context.WithTimeout(ctx, time.Second)
		err := r.Ready(probe)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-r.done:
			return fmt.Errorf("it ended before it was ready: %w", r.ended())
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// ended is never nil: a server has no reason to end by itself.
func (r *Running) ended() error {
	if r.err == nil {
		return errors.New("it left without an error")
	}
	return r.err
}

// Done is closed when the process has ended, for whatever reason.
func (r *Running) Done() <-chan struct{} { return r.done }

// Err says why the process ended. It is valid once Done is closed.
func (r *Running) Err() error { return r.err }

// PID is the process's id, for faults that stop, pause or kill it from outside.
func (r *Running) PID() int { return r.cmd.Process.Pid }

// Stop asks the process to end and waits; when ctx ends first it is killed.
func (r *Running) Stop(ctx context.Context) error {
	if err := r.cmd.Process.Signal(r.StopSignal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", r.Name, err)
	}
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		r.Kill()
		return fmt.Errorf("stop %s: killed: %w", r.Name, ctx.Err())
	}
}

// Kill ends the process at once, as a crash would, and waits for its end.
func (r *Running) Kill() {
	_ = r.cmd.Process.Signal(syscall.SIGKILL) // An error means that it has ended already.
	<-r.done
}

// FreePort returns a TCP port of the loopback interface that was free a moment
// ago. Another process may take it before it is used: good enough for tests.
func FreePort() (int, error) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
