package resilience

import (
	"errors"
	"time"
)

var (
	// ErrOpen is returned without an attempt while the breaker is open, or half
	// open and busy with its probes.
	ErrOpen = errors.New("circuit breaker is open")
	// ErrFull is returned without an attempt when the bulkhead stays full for
	// MaxWait.
	ErrFull = errors.New("bulkhead is full")
)

// fullAfter is when to come back to a full bulkhead. By judgement: calls take
// milliseconds, so a place is free long before.
const fullAfter = time.Second

// Refused is the error of a call that was not made.
type Refused struct {
	// Dependency that was not called.
	Dependency string
	// After is when another call is worth while.
	After time.Duration
	// Cause is ErrOpen, ErrFull, or another bound's own error.
	Cause error
}

func (r *Refused) Error() string { return r.Dependency + ": " + r.Cause.Error() }

func (r *Refused) Unwrap() error { return r.Cause }
