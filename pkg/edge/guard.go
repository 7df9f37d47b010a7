package edge

import (
	"context"
	"errors"
	"math"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"connectrpc.com/connect/v2"

	"example.com/ballast/pkg/resilience"
	"example.com/ballast/pkg/telemetry"
)

// internalMessage is all that a client learns of an error that was not meant
// for it.
const internalMessage = "internal error"

// ErrDraining is the cause of the end of a stream's context when the process is
// about to stop.
var ErrDraining = errors.New("the server is about to stop")

// guard is the last stop of every error. It runs inside the telemetry, so that a
// panic is counted and traced as the Internal that the client sees.
func (s *Server) guard(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) (err error) {
		defer func() {
			r := recover()
			if r == nil {
				return
			}
			if r == http.ErrAbortHandler { //nolint:errorlint // a panic value, compared as net/http does
				panic(r)
			}
			s.cfg.Logger.ErrorContext(ctx, "panic in handler",
				"procedure", spec.Procedure, "panic", telemetry.PanicText(r), "stack", string(debug.Stack()))
			err = connect.NewError(connect.CodeInternal, internalMessage)
		}()
		if err = next(ctx, spec, stream); err == nil {
			return nil
		}
		return s.forClient(ctx, spec, err)
	}
}

// forClient returns what the client may see of an error. Errors that were made
// for it pass; the others are logged here, once, and replaced.
func (s *Server) forClient(ctx context.Context, spec connect.Spec, err error) error {
	err = s.passing(ctx, err)
	if later, ok := errors.AsType[*retryLater](err); ok {
		if info, ok := connect.CallInfoForServerContext(ctx); ok {
			info.ResponseHeader().Set("Retry-After", strconv.Itoa(int(math.Ceil(later.after.Seconds()))))
		}
	}
	if made, ok := errors.AsType[*connect.Error](err); ok && !made.IsRemote() {
		switch made.Code() {
		case connect.CodeInternal, connect.CodeUnknown, connect.CodeDataLoss:
		default:
			s.tellCause(ctx, spec, err)
			return made
		}
	}
	switch {
	case errors.Is(err, ErrDraining):
		return connect.NewError(connect.CodeUnavailable, ErrDraining.Error())
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return connect.NewError(connect.CodeCanceled, "the client went away")
	case errors.Is(err, errDeadline), errors.Is(err, context.DeadlineExceeded):
		// The outcome of a call that writes is unknown to the client: it repeats the
		// call with the same key.
		return connect.NewError(connect.CodeDeadlineExceeded, "the deadline of the call has passed")
	}
	s.cfg.Logger.ErrorContext(ctx, "request failed", "procedure", spec.Procedure, "error", err)
	return connect.NewError(connect.CodeInternal, internalMessage)
}

// causeEvery bounds the lines about causes: a dependency that is away fails every
// call alike.
const causeEvery = time.Second

// causes is what was told of errors that were made for clients.
type causes struct {
	mu     sync.Mutex
	told   time.Time
	untold int
}

// tellCause logs what the client was not told, at most once in causeEvery.
func (s *Server) tellCause(ctx context.Context, spec connect.Spec, err error) {
	hidden, ok := errors.AsType[*because](err)
	if !ok {
		return
	}
	s.causes.mu.Lock()
	defer s.causes.mu.Unlock()
	if time.Since(s.causes.told) < causeEvery {
		s.causes.untold++
		return
	}
	s.cfg.Logger.WarnContext(ctx, "call refused", "procedure", spec.Procedure,
		"answer", err, "error", hidden.cause, "untold", s.causes.untold)
	s.causes.told, s.causes.untold = time.Now(), 0
}

// passing turns what will pass by itself into an error that tells the client to
// come back: a guard that refused a call, and a dependency that failed one.
func (s *Server) passing(ctx context.Context, err error) error {
	if refused, ok := errors.AsType[*resilience.Refused](err); ok {
		return RetryLater(connect.CodeUnavailable, "something that this call needs does not answer at this moment",
			"DEPENDENCY_UNAVAILABLE", refused.After)
	}
	_, made := errors.AsType[*connect.Error](err)
	gone := errors.Is(err, context.Canceled) && ctx.Err() != nil
	if made || gone || errors.Is(err, errDeadline) || !s.cfg.Transient(err) {
		return err
	}
	return Because(RetryLater(connect.CodeUnavailable, "this can't be stored or read at this moment", "STORE_UNAVAILABLE", time.Second), err)
}

// errDeadline says that the call's own deadline, and no other, has passed.
var errDeadline = errors.New("the deadline of the call has passed")

// deadline gives every unary call a time to end, at most MaxDeadline away. A
// stream lives until its client leaves or the process drains.
func (s *Server) deadline(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		if spec.StreamType != connect.StreamTypeUnary {
			return s.untilDraining(ctx, spec, stream, next)
		}
		limit := s.cfg.MaxDeadline
		if _, brought := ctx.Deadline(); !brought {
			limit = s.cfg.Deadline
		}
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		err := next(ctx, spec, stream)
		// By the clock: on a busy machine the database's own timeout, which the
		// deadline has set, may come before the context's.
		at, _ := ctx.Deadline()
		if err != nil && !time.Now().Before(at) && (s.cfg.Transient(err) || connect.CodeOf(err) == connect.CodeUnavailable) {
			return errDeadline
		}
		return err
	}
}

func (s *Server) untilDraining(ctx context.Context, spec connect.Spec, stream connect.ServerStream, next connect.ServerFunc) error {
	if s.cfg.Draining == nil {
		return next(ctx, spec, stream)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-s.cfg.Draining:
			cancel(ErrDraining)
		case <-done:
		}
	}()
	err := next(ctx, spec, stream)
	if err != nil && errors.Is(context.Cause(ctx), ErrDraining) {
		return ErrDraining
	}
	return err
}
