package stream

import (
	"context"
	"errors"
	"fmt"

	"example.com/ballast/pkg/telemetry"
)

// Reject says that the record at index of the batch can never succeed, because
// of err: it goes to the DLQ at once and the others are handled again without
// it. Several may be joined with errors.Join.
func Reject(index int, err error) error { return &rejection{index, err} }

type rejection struct {
	index int
	err   error
}

func (r *rejection) Error() string { return fmt.Sprintf("record %d rejected: %v", r.index, r.err) }
func (r *rejection) Unwrap() error { return r.err }

// panicked is a panic of the handler. Its stack is for the log only.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return "panic: " + telemetry.PanicText(p.value) }

func (p *panicked) Unwrap() error {
	err, _ := p.value.(error)
	return err
}

// class is whose fault an error is.
type class int

const (
	done      class = iota
	transient       // the batch's or a dependency's: the whole batch again
	rejected        // a record's, and the handler said which
	fault           // a record's, found by bisection
)

// String names it in metrics and spans.
func (c class) String() string {
	return [...]string{done: "done", transient: "transient", rejected: "rejected", fault: "fault"}[c]
}

func (c *Consumer) classify(err error) class {
	var r *rejection
	var p *panicked
	switch {
	case err == nil:
		return done
	case c.cfg.Transient(err), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return transient
	case errors.As(err, &r):
		return rejected
	case errors.As(err, &p), c.cfg.RecordFault(err):
		return fault
	}
	return transient
}

// rejections finds every rejection within err by its index.
func rejections(err error, found map[int]error) {
	if r, ok := err.(*rejection); ok { //nolint:errorlint // This walks the tree itself.
		found[r.index] = r.err
		return
	}
	switch u := err.(type) { //nolint:errorlint // This walks the tree itself.
	case interface{ Unwrap() error }:
		rejections(u.Unwrap(), found)
	case interface{ Unwrap() []error }:
		for _, e := range u.Unwrap() {
			rejections(e, found)
		}
	}
}
