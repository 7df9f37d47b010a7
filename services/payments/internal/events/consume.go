package events

import (
	"context"
	"errors"

	"example.com/ballast/pkg/stream"
	"example.com/ballast/services/payments/internal/payment"
)

// Handler hands a batch of commands to record, which stores them in one
// transaction. It calls nobody else: the provider is the executor's, so the
// offsets move on whatever the provider does.
func Handler(record func(context.Context, []payment.Command) error) stream.Handler {
	return func(ctx context.Context, batch []stream.Record) error {
		commands := make([]payment.Command, len(batch))
		var rejected []error
		for i, r := range batch {
			c, err := Decode(r.Message)
			if err != nil {
				rejected = append(rejected, stream.Reject(i, err))
				continue
			}
			commands[i] = c
		}
		if len(rejected) > 0 {
			return errors.Join(rejected...) // the rest comes again without them
		}
		err := record(ctx, commands)
		if r, ok := errors.AsType[*payment.Rejected](err); ok {
			return stream.Reject(r.Index, r.Err)
		}
		return err
	}
}
