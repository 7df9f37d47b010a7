package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// coordinatorPause is the pause before a coordinator that is busy is asked again.
const coordinatorPause = 50 * time.Millisecond

// Committed returns what group has committed of topic. A group that never was has
// committed nothing; a coordinator that is not there yet is waited for, until ctx ends.
func Committed(ctx context.Context, adm *kadm.Client, group, topic string) (committed kadm.OffsetResponses, err error) {
	err = Patiently(ctx, func() error {
		committed, err = adm.FetchOffsetsForTopics(ctx, group, topic)
		return err
	})
	if errors.Is(err, kerr.GroupIDNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("offsets of group %s: %w", group, err)
	}
	return committed, nil
}

// Patiently asks again while the broker says that it can't answer yet, as a broker
// does about the first group that it ever hears of: it makes the topic of the
// offsets then. It returns the last error when ctx ends.
func Patiently(ctx context.Context, ask func() error) error {
	for {
		err := ask()
		var ke *kerr.Error
		if err == nil || !errors.As(err, &ke) || !ke.Retriable {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(coordinatorPause):
		}
	}
}
