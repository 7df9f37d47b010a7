// Package stack runs a whole Ballast on one machine without containers: it
// finds or starts the servers, makes the databases, starts the services and
// keeps all of them running.
//
// Invariants:
//   - Children start in the order of the calls of Start, each call waiting until
//     all of its children are ready, and stop in the reverse order.
//   - A child that dies is started again, for as long as the stack is up.
//   - No child outlives the supervisor: it is stopped in order; if the supervisor
//     is killed, the kernel stops the children (Linux); what is left even so is
//     known by pid and start time, and stopped by the next up or down.
//   - state.json is replaced in one step and is what all other commands read.
package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// logCheck is how often the size of the logs is looked at.
const logCheck = 5 * time.Second

// Supervisor keeps the children of one home directory running.
type Supervisor struct {
	home    Home
	console *Console
	lock    *os.File
	// patience ends when Kill is called: then nobody gets any more grace.
	patience context.Context
	kill     context.CancelFunc
	stopLogs context.CancelFunc

	mu    sync.Mutex
	state State
	tiers [][]*runner
}

// NewSupervisor takes possession of the home directory and clears it of
// children that an earlier supervisor left behind.
func NewSupervisor(ctx context.Context, home Home, console *Console) (*Supervisor, error) {
	if err := home.prepare(); err != nil {
		return nil, err
	}
	lock, err := home.lock()
	if err != nil {
		return nil, err
	}
	if err := clearStale(ctx, home, console); err != nil {
		_ = lock.Close()
		return nil, err
	}
	self, _ := identify(os.Getpid())
	s := &Supervisor{
		home: home, console: console, lock: lock,
		state: State{Supervisor: self, Phase: PhaseStarting, Since: time.Now()},
	}
	s.patience, s.kill = context.WithCancel(context.WithoutCancel(ctx))
	logs, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stopLogs = stop
	go s.capLogs(logs)
	s.record()
	return s, nil
}

// clearStale stops the children that state.json still lists. Only a process
// with the recorded start time is touched: its pid may be somebody else's now.
func clearStale(ctx context.Context, home Home, console *Console) error {
	old, err := home.Load()
	if errors.Is(err, ErrNoStack) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, c := range slices.Backward(old.Children) {
		if c.PID == 0 || !c.Alive() {
			continue
		}
		console.Printf("stopping %s (process %d), left behind by a stack that crashed", c.Name, c.PID)
		if err := c.end(ctx, c.StopSignal, 5*time.Second); err != nil {
			return fmt.Errorf("stop %s (process %d): %w", c.Name, c.PID, err)
		}
	}
	return nil
}

// Start starts the children side by side and waits until all are ready. Its
// error says which one is not, and why.
func (s *Supervisor) Start(ctx context.Context, children ...Child) error {
	if err := checkPorts(children); err != nil {
		return err
	}
	tier := make([]*runner, 0, len(children))
	for _, c := range children {
		tier = append(tier, newRunner(s, c))
	}
	s.mu.Lock()
	s.tiers = append(s.tiers, tier)
	s.mu.Unlock()
	for _, r := range tier {
		go r.run()
	}
	progress := time.NewTicker(2 * time.Second)
	defer progress.Stop()
	for _, r := range tier {
		for waiting := true; waiting; {
			select {
			case <-r.ready:
				waiting = false
			case err := <-r.gaveUp:
				return err
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-progress.C:
				s.console.Printf("waiting for %s", strings.Join(unready(tier), ", "))
			}
		}
	}
	return nil
}

// unready lists those that a start still waits for, each with its last word.
func unready(tier []*runner) []string {
	var names []string
	for _, r := range tier {
		if state, pending := r.snapshot(); state.State != "ready" {
			name := r.Name
			if pending != nil {
				name += " (" + pending.Error() + ")"
			}
			names = append(names, name)
		}
	}
	return names
}

// Describe sets what other commands may want to know.
func (s *Supervisor) Describe(portBase int, broker string, e Endpoints) {
	s.mu.Lock()
	s.state.PortBase, s.state.Broker, s.state.Endpoints = portBase, broker, e
	s.mu.Unlock()
	s.record()
}

// External lists a server that was there already: it is used, never stopped.
func (s *Supervisor) External(name, address string) {
	r := newRunner(s, Child{Name: name, Address: address, About: "was there already"})
	r.state.State, r.state.Log = "external", ""
	close(r.done)
	s.mu.Lock()
	s.tiers = append(s.tiers, []*runner{r})
	s.mu.Unlock()
	s.console.Printf("%s: using %s, which is there already", name, address)
	s.record()
}

// SetPhase tells other commands how far the stack is.
func (s *Supervisor) SetPhase(p Phase) {
	s.mu.Lock()
	s.state.Phase, s.state.Since = p, time.Now()
	s.mu.Unlock()
	s.record()
}

// Kill ends the patience of a Stop under way, or of the next one.
func (s *Supervisor) Kill() { s.kill() }

// Stop stops the children, the last tier first, and gives the home directory
// back. The supervisor is of no use after that.
func (s *Supervisor) Stop() {
	s.SetPhase(PhaseStopping)
	s.mu.Lock()
	tiers := slices.Clone(s.tiers)
	s.mu.Unlock()
	for _, tier := range slices.Backward(tiers) {
		for _, r := range tier {
			close(r.stopped)
		}
		for _, r := range tier {
			<-r.done
		}
	}
	s.stopLogs()
	s.SetPhase(PhaseStopped)
	_ = s.lock.Close()
}

// record writes the state down. A full disk must not stop the supervision, so
// that it failed is only printed.
func (s *Supervisor) record() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Children = s.state.Children[:0]
	for _, tier := range s.tiers {
		for _, r := range tier {
			state, _ := r.snapshot()
			s.state.Children = append(s.state.Children, state)
		}
	}
	if err := s.home.save(s.state); err != nil {
		s.console.Printf("%v", err)
	}
}

// capLogs keeps the logs below their cap until ctx ends.
func (s *Supervisor) capLogs(ctx context.Context) {
	tick := time.NewTicker(logCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.mu.Lock()
		tiers := slices.Clone(s.tiers)
		s.mu.Unlock()
		for _, r := range slices.Concat(tiers...) {
			if r.state.Log == "" {
				continue
			}
			if err := capLog(r.state.Log, maxLogBytes); err != nil && !errors.Is(err, os.ErrNotExist) {
				s.console.Printf("log of %s: %v", r.Name, err)
			}
		}
	}
}
