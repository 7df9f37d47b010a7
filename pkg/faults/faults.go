// Package faults makes a service of our own misbehave, behind flags that are off:
// calls that are slow or fail, and handlers of messages that are slow or panic.
// What it breaks is what drills and tests want to see survived.
package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"connectrpc.com/connect/v2"

	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/flags"
	"example.com/ballast/pkg/stream"
)

// RPC delays and refuses calls, as the flags <service>.fault-rpc-latency-ms and
// .fault-rpc-error-percent say. It belongs first in edge.Config.Admit, so that
// what comes after it sees the fault as it would a real one.
func RPC(set *flags.Set, service string) connect.ServerInterceptor {
	latency, errorPercent := service+".fault-rpc-latency-ms", service+".fault-rpc-error-percent"
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			if err := wait(ctx, set.Number(ctx, latency, 0, "")); err != nil {
				return err
			}
			if percent := set.Number(ctx, errorPercent, 0, ""); percent > 0 && rand.Float64()*100 < percent {
				return edge.RetryLater(connect.CodeUnavailable, "a fault that was asked for", "FAULT_INJECTED", time.Second)
			}
			return next(ctx, spec, stream)
		}
	}
}

// Handler delays every batch, as the flag <service>.fault-handler-latency-ms
// says, and panics at the messages whose keys <service>.fault-handler-panic is on
// for.
func Handler(set *flags.Set, service string, next stream.Handler) stream.Handler {
	latency, panics := service+".fault-handler-latency-ms", service+".fault-handler-panic"
	return func(ctx context.Context, batch []stream.Record) error {
		if err := wait(ctx, set.Number(ctx, latency, 0, "")); err != nil {
			return err
		}
		for _, record := range batch {
			if set.Bool(ctx, panics, false, string(record.Key)) {
				panic(fmt.Errorf("a fault that was asked for, at %s of %s", record.Key, record.Topic))
			}
		}
		return next(ctx, batch)
	}
}

// wait returns when so many milliseconds have passed, or with the context's error.
func wait(ctx context.Context, milliseconds float64) error {
	if milliseconds <= 0 {
		return nil
	}
	timer := time.NewTimer(time.Duration(milliseconds * float64(time.Millisecond)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
