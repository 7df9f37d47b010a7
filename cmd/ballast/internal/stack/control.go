package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Resolve makes the directory absolute, unless it is the default one: children
// must find it wherever they run, and a person wants to read what was typed.
func Resolve(h Home) (Home, error) {
	abs, err := filepath.Abs(string(h))
	if err != nil {
		return h, fmt.Errorf("--home: %w", err)
	}
	return Home(abs), nil
}

// Detach runs the same command in the background, in a session of its own, shows
// what it prints and returns once it is ready. Its output stays in
// logs/ballast.log.
func Detach(ctx context.Context, home Home, self string, args []string, out io.Writer) error {
	if err := home.prepare(); err != nil {
		return err
	}
	log, err := os.Create(home.Log("ballast"))
	if err != nil {
		return fmt.Errorf("create log: %w", err)
	}
	defer log.Close()
	// Not CommandContext: it is to outlive this process. The last flag wins.
	cmd := exec.Command(self, append(args, "--detach=false")...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start in the background: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in the log
		close(ended)
	}()

	shown, err := os.Open(log.Name())
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	defer shown.Close()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		ready := false
		if s, err := home.Load(); err == nil {
			ready = s.Phase == PhaseReady && s.Supervisor.PID == cmd.Process.Pid
		}
		_, _ = io.Copy(out, shown)
		if ready {
			return nil
		}
		select {
		case <-ctx.Done():
			_ = cmd.Process.Signal(syscall.SIGTERM)
			<-ended
			return context.Cause(ctx)
		case <-ended:
			_, _ = io.Copy(out, shown)
			return errors.New("the stack did not start")
		case <-tick.C:
		}
	}
}

// Down stops the stack, and whatever a stack that crashed has left.
func Down(ctx context.Context, home Home, patience time.Duration, out io.Writer) error {
	console := NewConsole(out)
	s, err := home.Load()
	if err != nil {
		return err
	}
	if s.Supervisor.Alive() {
		console.Printf("stopping the stack in %s (process %d)", string(home), s.Supervisor.PID)
		// A supervisor that is killed takes its children along, or they are
		// stopped below.
		if err := s.Supervisor.end(ctx, syscall.SIGTERM, patience); err != nil {
			return fmt.Errorf("stop process %d: %w", s.Supervisor.PID, err)
		}
	}
	if err := clearStale(ctx, home, console); err != nil {
		return err
	}
	console.Printf("stopped; the data stays in %s", string(home))
	return nil
}

// Inspect reads the state of a stack and checks it against what really runs.
func Inspect(ctx context.Context, home Home) (State, error) {
	s, err := home.Load()
	if err != nil {
		return s, err
	}
	if !s.Supervisor.Alive() {
		s.Phase = PhaseStopped
	}
	for i := range s.Children {
		c := &s.Children[i]
		switch {
		case c.State == "external":
		case !c.Alive():
			c.State, c.Proc = "stopped", Proc{}
		case c.State == "ready" && c.Probe != "":
			probe, cancel := context.WithTimeout(ctx, readyTimeout)
			if answersOK(probe, c.Probe) != nil {
				c.State = "not ready"
			}
			cancel()
		}
	}
	return s, nil
}

// AllReady tells whether the stack serves with all of its parts.
func (s State) AllReady() bool {
	for _, c := range s.Children {
		if c.State != "ready" && c.State != "external" {
			return false
		}
	}
	return s.Phase == PhaseReady
}
