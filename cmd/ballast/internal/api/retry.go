package api

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"example.com/ballast/pkg/edge"
)

// The pause before a retry is uniform between zero and a bound that doubles
// from firstPause to maxPause ("full jitter"), and never below the server's
// Retry-After. Both by judgement: a restart of a service takes about a second.
const (
	firstPause = 25 * time.Millisecond
	maxPause   = 2 * time.Second
)

// Counter counts by name.
type Counter struct {
	mu     sync.Mutex
	counts map[string]int
}

func (c *Counter) add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]int{}
	}
	c.counts[name]++
}

// Counts returns a copy.
func (c *Counter) Counts() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.counts)
}

// attemptError is a failed attempt with the pause that the server asked for.
type attemptError struct {
	error
	after time.Duration
}

func (e *attemptError) Unwrap() error { return e.error }

type retrier struct {
	policy  retrypolicy.RetryPolicy[any]
	attempt time.Duration
}

func newRetrier(wait, attempt time.Duration, retries *Counter) retrier {
	policy := retrypolicy.NewBuilder[any]().
		HandleIf(func(_ any, err error) bool { return Transient(err) }).
		WithMaxRetries(-1).WithMaxDuration(wait).ReturnLastFailure().
		WithDelayFunc(func(exec failsafe.ExecutionAttempt[any]) time.Duration {
			bound := min(maxPause, firstPause<<min(exec.Retries(), 10))
			var failed *attemptError
			if errors.As(exec.LastError(), &failed) && failed.after > 0 {
				return failed.after + rand.N(bound)
			}
			return rand.N(bound)
		}).
		OnRetry(func(event failsafe.ExecutionEvent[any]) { retries.add(codeName(event.LastError())) }).
		Build()
	return retrier{policy: policy, attempt: attempt}
}

// Do makes a call that is safe to repeat, until it succeeds, fails for good or
// the configured wait is over. Each attempt has its own deadline and headers, and
// goes to another replica than the one before, if there is another.
func Do[Req, Res any](ctx context.Context, c *Client, call func(context.Context, Req) (Res, error), req Req) (Res, error) {
	return do(ctx, c, nil, call, req)
}

func do[Req, Res any](ctx context.Context, c *Client, headers map[string]string, call func(context.Context, Req) (Res, error), req Req) (Res, error) {
	var res Res
	token, err := c.signer.token(ctx)
	if err != nil {
		return res, err
	}
	var route route
	err = failsafe.With[any](c.retrier.policy).WithContext(ctx).Run(func() error {
		attempt, cancel := context.WithTimeout(ctx, c.retrier.attempt)
		defer cancel()
		attempt, info := connect.NewClientContext(edge.WithToken(route.in(attempt), token))
		for name, value := range headers {
			info.RequestHeader().Set(name, value)
		}
		var err error
		if res, err = call(attempt, req); err != nil {
			after := retryAfter(err, info)
			if absent(err) && route.leave(after) {
				after = 0 // that was one replica's; another is there
			}
			return &attemptError{error: err, after: after}
		}
		return nil
	})
	return res, err
}

// Once makes one attempt of a call as who the context speaks for. Beside the
// error it returns the pause that a refusal asked for, zero when it asked for none.
func Once[Req, Res any](ctx context.Context, c *Client, headers map[string]string, call func(context.Context, Req) (Res, error), req Req) (Res, time.Duration, error) {
	token, err := c.signer.token(ctx)
	if err != nil {
		var none Res
		return none, 0, err
	}
	ctx, info := connect.NewClientContext(edge.WithToken(ctx, token))
	for name, value := range headers {
		info.RequestHeader().Set(name, value)
	}
	res, err := call(ctx, req)
	if err != nil {
		return res, retryAfter(err, info), err
	}
	return res, 0, nil
}

// Transient tells whether the same call may succeed later. What the transport
// reports (IsRemote is false) says nothing about the call: it may have been
// done, and an idempotent call is repeated.
func Transient(err error) bool {
	var failed *connect.Error
	if !errors.As(err, &failed) {
		return false
	}
	switch failed.Code() {
	case connect.CodeUnavailable, connect.CodeAborted, connect.CodeDeadlineExceeded, connect.CodeResourceExhausted:
		return true
	case connect.CodeInternal, connect.CodeUnknown, connect.CodeCanceled:
		return !failed.IsRemote()
	default:
		return false
	}
}

// absent tells whether an error is that of a replica which is away, starting or
// about to stop. One that names its reason, such as being overloaded, is there
// and has decided: the others are in no better state, and what it asks for holds.
func absent(err error) bool {
	var failed *connect.Error
	if !errors.As(err, &failed) {
		return false
	}
	return !failed.IsRemote() || failed.Code() == connect.CodeUnavailable && ErrorInfo(err) == nil
}

// codeName is the name under which a failed attempt is counted.
func codeName(err error) string {
	var failed *connect.Error
	if !errors.As(err, &failed) {
		return "unknown"
	}
	if !failed.IsRemote() && failed.Code() != connect.CodeDeadlineExceeded {
		return "no_connection"
	}
	return failed.Code().String()
}

// retryAfter reads the pause that a refusal asks for, from the header or the
// google.rpc.RetryInfo detail; zero when it asks for none.
func retryAfter(err error, info *connect.CallInfo) time.Duration {
	if seconds, parseErr := strconv.Atoi(info.ResponseHeader().Get("Retry-After")); parseErr == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	if detail, ok := errorDetail[*errdetails.RetryInfo](err); ok {
		return detail.GetRetryDelay().AsDuration()
	}
	return 0
}

// Refusal names why the other side refused a call: the reason of its
// google.rpc.ErrorInfo, else the fields that it complains about, else its code.
func Refusal(err error) string {
	if info, ok := errorDetail[*errdetails.ErrorInfo](err); ok && info.GetReason() != "" {
		return info.GetReason()
	}
	if bad, ok := errorDetail[*errdetails.BadRequest](err); ok && len(bad.GetFieldViolations()) > 0 {
		first := bad.GetFieldViolations()[0]
		return strings.TrimSpace(first.GetField() + " " + first.GetDescription())
	}
	return codeName(err)
}

// ErrorInfo returns the google.rpc.ErrorInfo of an error, nil without one.
func ErrorInfo(err error) *errdetails.ErrorInfo {
	info, _ := errorDetail[*errdetails.ErrorInfo](err)
	return info
}

func errorDetail[T any](err error) (T, bool) {
	var zero T
	var failed *connect.Error
	if !errors.As(err, &failed) {
		return zero, false
	}
	for _, detail := range failed.Details() {
		message, err := connectproto.UnmarshalErrorDetail(detail)
		if err != nil {
			continue
		}
		if found, ok := message.(T); ok {
			return found, true
		}
	}
	return zero, false
}
