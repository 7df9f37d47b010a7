package api

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

func client(wait time.Duration) *Client {
	return New(Config{Wait: wait, Attempt: time.Second, Mint: func(string, bool) (string, error) { return "token", nil }})
}

func remote(t *testing.T, code connect.Code, details ...proto.Message) error {
	t.Helper()
	err := connect.NewError(code, "no")
	for _, detail := range details {
		encoded, encodeErr := connectproto.NewErrorDetail(detail)
		if encodeErr != nil {
			t.Fatal(encodeErr)
		}
		err = err.WithDetail(encoded)
	}
	return err.WithRemote()
}

// failing returns a call that fails with each error once and then succeeds, and
// the times of its attempts since the first.
func failing(errs ...error) (call func(context.Context, int) (int, error), at func() []time.Duration) {
	var times []time.Duration
	var first time.Time
	call = func(_ context.Context, n int) (int, error) {
		if times == nil {
			first = time.Now()
		}
		times = append(times, time.Since(first))
		if len(times) <= len(errs) {
			return 0, errs[len(times)-1]
		}
		return n, nil
	}
	return call, func() []time.Duration { return times }
}

func TestTransientErrorsAreRepeatedAndOthersAreNot(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err      error
		repeated string // the name it is counted under, empty when it is final
	}{
		"unavailable":            {remote(t, connect.CodeUnavailable), "unavailable"},
		"aborted":                {remote(t, connect.CodeAborted), "aborted"},
		"deadline":               {remote(t, connect.CodeDeadlineExceeded), "deadline_exceeded"},
		"limited":                {remote(t, connect.CodeResourceExhausted), "resource_exhausted"},
		"connection reset":       {connect.NewError(connect.CodeCanceled, "connection reset by peer"), "no_connection"},
		"answer cut off":         {connect.NewError(connect.CodeUnknown, "unexpected EOF"), "no_connection"},
		"a defect of the server": {remote(t, connect.CodeInternal), ""},
		"invalid":                {remote(t, connect.CodeInvalidArgument), ""},
		"refused":                {remote(t, connect.CodeFailedPrecondition), ""},
		"no token":               {remote(t, connect.CodeUnauthenticated), ""},
		"not of connect":         {errors.New("boom"), ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := client(time.Minute)
				call, _ := failing(test.err)
				got, err := Do(t.Context(), c, call, 7)
				if test.repeated == "" {
					if !errors.Is(err, test.err) || len(c.Retries.Counts()) != 0 {
						t.Errorf("error = %v, retries %v", err, c.Retries.Counts())
					}
					return
				}
				if got != 7 || err != nil {
					t.Errorf("answer %d, %v", got, err)
				}
				if diff := cmp.Diff(map[string]int{test.repeated: 1}, c.Retries.Counts()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestPausesHaveABoundAndHeedTheServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		away := remote(t, connect.CodeUnavailable)
		asked := remote(t, connect.CodeUnavailable, &errdetails.RetryInfo{RetryDelay: durationpb.New(5 * time.Second)})
		call, at := failing(away, away, asked, away)
		if _, err := Do(t.Context(), client(time.Minute), call, 1); err != nil {
			t.Fatal(err)
		}
		times := at()
		for i := 1; i < len(times); i++ {
			low, high := time.Duration(0), firstPause<<(i-1)
			if i == 3 {
				low, high = 5*time.Second, 5*time.Second+high
			}
			if pause := times[i] - times[i-1]; pause < low || pause > high {
				t.Errorf("pause %d is %v, want from %v to %v", i, pause, low, high)
			}
		}
	})
}

func TestWaitEndsTheRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		away := remote(t, connect.CodeUnavailable)
		started := time.Now()
		_, err := Do(t.Context(), client(10*time.Second), func(context.Context, int) (int, error) {
			time.Sleep(time.Millisecond) // in this bubble time passes only where it is spent
			return 0, away
		}, 1)
		if !Transient(err) || connect.CodeOf(err) != connect.CodeUnavailable {
			t.Errorf("error = %v", err)
		}
		if took := time.Since(started); took < 5*time.Second || took > 10*time.Second+maxPause {
			t.Errorf("gave up after %v", took)
		}
	})
}

func TestRefusalNamesTheReason(t *testing.T) {
	t.Parallel()
	bad := &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "lines[0].quantity", Description: "must be greater than 0"}}}
	for want, err := range map[string]error{
		"PRICE_CHANGED": remote(t, connect.CodeFailedPrecondition, &errdetails.ErrorInfo{Reason: "PRICE_CHANGED"}),
		"lines[0].quantity must be greater than 0": remote(t, connect.CodeInvalidArgument, bad),
		"not_found": remote(t, connect.CodeNotFound),
	} {
		if got := Refusal(err); got != want {
			t.Errorf("Refusal = %q, want %q", got, want)
		}
	}
}
