package outbox

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"example.com/ballast/pkg/resilience"
)

// newGuard returns the breaker in front of Kafka. What counts is a turn that is
// not acknowledged in patience, again for each further patience, and one that
// the broker fails; two in a row open it. While it is open the relay hands
// nothing new to the client, which goes on trying with what it has: records that
// were sent must not be given up, or they would come twice and out of order.
func newGuard(logger *slog.Logger, patience time.Duration) (*resilience.Guard, error) {
	return resilience.New(resilience.Config{
		Name: "kafka", Logger: logger, Timeout: patience, Consecutive: 2, Window: time.Minute, OpenFor: time.Second, Probes: 1,
	})
}

// acknowledged returns when done is closed, or a moment after ctx ended: the
// client may hold on to records that it has sent for as long as the broker is
// silent.
func (t *term) acknowledged(ctx context.Context, done <-chan struct{}, answers []error) error {
	const grace = 100 * time.Millisecond
	for ctx.Err() == nil {
		err := resilience.Run(ctx, t.guard, func(ctx context.Context) error {
			select {
			case <-done:
				return outage(answers)
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		if !errors.Is(err, resilience.ErrOpen) && ctx.Err() == nil && !closed(done) {
			t.Logger.WarnContext(ctx, "outbox is waiting for kafka to acknowledge", "depth", t.depth.Load())
		}
		select {
		case <-done:
			return nil
		case <-ctx.Done():
		case <-time.After(again):
		}
	}
	select {
	case <-done:
		return nil
	case <-time.After(grace):
		return errNoAnswer
	}
}

// outage is the first error that is the broker's fault, not a record's or a topic's.
func outage(answers []error) error {
	for _, err := range answers {
		if err != nil && !recordFault(err) && !topicFault(err) && !errors.Is(err, errNotTried) {
			return err
		}
	}
	return nil
}

func closed(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

func pauseFor(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
