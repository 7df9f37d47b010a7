package stack

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// Proc names a process beyond doubt: a pid alone may have been given to
// somebody else since it was written down.
type Proc struct {
	PID int `json:"pid"`
	// Start is when the process began, in the operating system's own notation.
	// It is compared, never read.
	Start string `json:"start,omitempty"`
}

// identify describes the running process with this pid. ok is false when there
// is none, or none that still runs (a zombie waits only to be reaped).
func identify(pid int) (p Proc, ok bool) {
	if pid <= 0 {
		return Proc{}, false
	}
	start, ok := startTime(pid)
	return Proc{PID: pid, Start: start}, ok
}

// Alive tells whether this very process still runs.
func (p Proc) Alive() bool {
	now, ok := identify(p.PID)
	return ok && now.Start == p.Start
}

// signal sends sig to the process if it still is the one that was recorded.
// That the process is gone is no error.
func (p Proc) signal(sig syscall.Signal) error {
	if !p.Alive() {
		return nil
	}
	err := syscall.Kill(p.PID, sig)
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return os.NewSyscallError("kill", err)
}

// end asks the process to stop with sig and kills its whole group when it has
// not gone within grace. ctx ends the patience early.
func (p Proc) end(ctx context.Context, sig syscall.Signal, grace time.Duration) error {
	if err := p.signal(sig); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if p.waitGone(ctx) {
		return nil
	}
	if p.Alive() {
		// Every child leads a group of its own, so this reaches what it started.
		_ = syscall.Kill(-p.PID, syscall.SIGKILL)
	}
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	// The kernel needs a moment to take a killed process down.
	last, cancelLast := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancelLast()
	if !p.waitGone(last) {
		return errors.New("still there after SIGKILL")
	}
	return nil
}

// waitGone polls until the process is gone or ctx ends; it tells which.
func (p Proc) waitGone(ctx context.Context) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for p.Alive() {
		select {
		case <-ctx.Done():
			return !p.Alive()
		case <-tick.C:
		}
	}
	return true
}
