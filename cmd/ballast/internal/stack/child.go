package stack

import (
	"context"
	"fmt"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Child is a process that the supervisor keeps running.
type Child struct {
	Name string
	// Command makes a fresh command for every start.
	Command func(ctx context.Context) (*exec.Cmd, error)
	// Ready returns nil once the child serves. It is asked again and again until
	// it does; its error is what a person waiting gets to see.
	Ready func(ctx context.Context) error
	// Stop is the signal that ends it in good order; SIGTERM when zero.
	Stop syscall.Signal
	// Grace is how long it may take to stop; 10 s when zero.
	Grace time.Duration
	// Ports on 127.0.0.1 that it listens on, with what each is for.
	Ports []Port
	// About, Address and Probe are for ChildState.
	About, Address, Probe string
}

// Judged by hand: a child that dies at once is tried four times within two
// seconds, and then often enough that a repaired cause is noticed soon.
const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 5 * time.Second
	// stable is how long a child runs before its next death counts as the first.
	stable = 10 * time.Second
	// maxEarlyDeaths is how often a child may die before it was ever ready.
	maxEarlyDeaths = 4
	readyPoll      = 50 * time.Millisecond
	readyTimeout   = 2 * time.Second
)

// runner keeps one child running until stop is called.
type runner struct {
	Child
	sup *Supervisor

	ready   chan struct{} // closed when the child is ready for the first time
	gaveUp  chan error    // holds why it never was
	stopped chan struct{} // closed by stop: from then on a death is no surprise
	done    chan struct{} // closed when nothing runs any more

	mu      sync.Mutex
	state   ChildState
	pending error // the latest answer of Ready
}

func newRunner(s *Supervisor, c Child) *runner {
	if c.Stop == 0 {
		c.Stop = syscall.SIGTERM
	}
	if c.Grace == 0 {
		c.Grace = 10 * time.Second
	}
	return &runner{
		Child: c, sup: s,
		ready: make(chan struct{}), gaveUp: make(chan error, 1),
		stopped: make(chan struct{}), done: make(chan struct{}),
		state: ChildState{
			Name: c.Name, State: "starting", StopSignal: c.Stop, About: c.About, Address: c.Address,
			Probe: c.Probe, Log: s.home.Log(c.Name),
		},
	}
}

// run starts the child again whenever it dies.
func (r *runner) run() {
	defer close(r.done)
	backoff, early := minBackoff, 0
	for {
		began := time.Now()
		exit, err := r.once()
		if r.stopping() {
			r.set(func(s *ChildState) { s.State, s.Proc = "stopped", Proc{} })
			return
		}
		if err != nil {
			exit = err.Error()
		}
		if !r.wasReady() {
			if early++; early == maxEarlyDeaths {
				r.gaveUp <- fmt.Errorf("%s does not start (%s); the end of %s:\n%s", r.Name, exit, r.state.Log, tail(r.state.Log, 12))
				r.set(func(s *ChildState) { s.State, s.Proc = "stopped", Proc{} })
				return
			}
		}
		if time.Since(began) > stable {
			backoff = minBackoff
		}
		r.set(func(s *ChildState) { s.State, s.Proc = "restarting", Proc{}; s.Restarts++ })
		how := "died"
		if exit == "exit status 0" {
			how = "ended" // by a restart: it was told to
		}
		r.sup.console.Printf("%s %s (%s): starting it again in %s", r.Name, how, exit, backoff)
		select {
		case <-r.stopped:
			r.set(func(s *ChildState) { s.State = "stopped" })
			return
		case <-time.After(backoff):
		}
		backoff = min(backoff*2, maxBackoff)
	}
}

// once runs the child to its end and says how it ended.
func (r *runner) once() (exit string, err error) {
	began := time.Now()
	cmd, err := r.Command(r.sup.patience)
	if err != nil {
		return "", err
	}
	log, err := openLog(r.state.Log)
	if err != nil {
		return "", err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	detach(cmd, r.Stop)
	if err := cmd.Start(); err != nil {
		return "", err
	}
	proc, _ := identify(cmd.Process.Pid)
	r.set(func(s *ChildState) { s.Proc = proc })

	ctx, cancel := context.WithCancel(r.sup.patience)
	var wait sync.WaitGroup
	wait.Go(func() { r.watchReady(ctx, began) })
	ended := make(chan struct{})
	wait.Go(func() {
		select {
		case <-ended:
		case <-r.stopped:
			if err := proc.end(r.sup.patience, r.Stop, r.Grace); err != nil {
				r.sup.console.Printf("%s: %v", r.Name, err)
			}
		}
	})
	_ = cmd.Wait() // what it returns is told better by the process state
	cancel()
	close(ended)
	wait.Wait()
	return cmd.ProcessState.String(), nil
}

// watchReady asks until the child is ready, and says so.
func (r *runner) watchReady(ctx context.Context, began time.Time) {
	for ctx.Err() == nil {
		probe, cancel := context.WithTimeout(ctx, readyTimeout)
		err := r.Ready(probe)
		cancel()
		if err == nil && ctx.Err() == nil {
			r.becomeReady(time.Since(began))
			return
		}
		r.mu.Lock()
		r.pending = err
		r.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(readyPoll):
		}
	}
}

func (r *runner) becomeReady(took time.Duration) {
	var restarts int
	r.set(func(s *ChildState) {
		s.State, s.ReadyMillis = "ready", took.Milliseconds()
		restarts = s.Restarts
	})
	if !r.wasReady() {
		about := r.About
		if about != "" {
			about = ": " + about
		}
		r.sup.console.Printf("%s ready after %.1f s%s", r.Name, took.Seconds(), about)
		close(r.ready)
		return
	}
	r.sup.console.Printf("%s ready again after %.1f s (restart %d)", r.Name, took.Seconds(), restarts)
}

func (r *runner) wasReady() bool {
	select {
	case <-r.ready:
		return true
	default:
		return false
	}
}

func (r *runner) stopping() bool {
	select {
	case <-r.stopped:
		return true
	default:
		return false
	}
}

// set changes the child's state and writes it down.
func (r *runner) set(change func(*ChildState)) {
	r.mu.Lock()
	change(&r.state)
	r.mu.Unlock()
	r.sup.record()
}

func (r *runner) snapshot() (ChildState, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state, r.pending
}
