package faults_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"

	"example.com/ballast/pkg/faults"
	"example.com/ballast/pkg/flags"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/stream"
)

// switched are the flags of a file with this content.
func switched(t *testing.T, content string) *flags.Set {
	t.Helper()
	path := filepath.Join(t.TempDir(), "flags.json")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := flags.Open(t.Context(), path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = set.Close(t.Context()) })
	return set
}

// call passes one call through the interceptor and tells how long it took.
func call(ctx context.Context, set *flags.Set) (time.Duration, error) {
	began := time.Now()
	next := func(context.Context, connect.Spec, connect.ServerStream) error { return nil }
	err := faults.RPC(set, "orders")(next)(ctx, connect.Spec{}, nil)
	return time.Since(began), err
}

func TestCallsAreSlowAndFail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := switched(t, `{"orders.fault-rpc-latency-ms": {"value": 300}}`)
		if took, err := call(t.Context(), slow); err != nil || took != 300*time.Millisecond {
			t.Errorf("%v, %v, want 300ms", took, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if took, err := call(ctx, slow); !errors.Is(err, context.DeadlineExceeded) || took != 100*time.Millisecond {
			t.Errorf("%v, %v, want the caller's own end", took, err)
		}
		failed := 0
		some := switched(t, `{"orders.fault-rpc-error-percent": {"value": 30}}`)
		for range 1000 {
			if _, err := call(t.Context(), some); connect.CodeOf(err) == connect.CodeUnavailable {
				failed++
			}
		}
		if failed < 200 || failed > 400 {
			t.Errorf("%d of 1,000 failed, want about 300", failed)
		}
		for _, set := range []*flags.Set{nil, switched(t, `{"payments.fault-rpc-error-percent": {"value": 100}}`)} {
			if took, err := call(t.Context(), set); err != nil || took != 0 {
				t.Errorf("%v, %v without a fault", took, err)
			}
		}
	})
}

func TestHandlersAreSlowAndPanic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		set := switched(t, `{"orders.fault-handler-latency-ms": {"value": 50},
			"orders.fault-handler-panic": {"value": true, "percent": 20}}`)
		handled, panicked, began := 0, 0, time.Now()
		handler := faults.Handler(set, "orders", func(_ context.Context, batch []stream.Record) error {
			handled += len(batch)
			return nil
		})
		handle := func(key string) {
			defer func() {
				if r := recover(); r != nil {
					panicked++
					if !strings.Contains(fmt.Sprint(r), key) {
						t.Errorf("%v does not say where", r)
					}
				}
			}()
			record := stream.Record{Message: message.Message{Topic: "t", Key: []byte(key)}}
			if err := handler(t.Context(), []stream.Record{record}); err != nil {
				t.Error(err)
			}
		}
		for i := range 500 {
			handle(fmt.Sprint("order-", i))
			handle(fmt.Sprint("order-", i)) // the same fate again
		}
		if panicked%2 != 0 || panicked < 100 || panicked > 300 || handled+panicked != 1000 {
			t.Errorf("%d panics, %d handled", panicked, handled)
		}
		if took := time.Since(began); took != 50*time.Second {
			t.Errorf("took %v, want 1,000 times 50ms", took)
		}
	})
}
