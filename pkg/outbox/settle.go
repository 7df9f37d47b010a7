package outbox

import (
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"example.com/ballast/pkg/message"
)

// item is one message on its way.
type item struct {
	row      int // index of its row in this turn
	msg      message.Message
	queued   time.Time // when its transaction began, by this process's clock
	err      error     // nil: acknowledged
	withheld bool      // not tried: err is of an earlier try for its topic
	reason   string    // not empty: it can never be published, and this is why
}

// settled is what one turn did to one row.
type settled struct {
	keep []message.Message // to be produced again, in order; none: the row is finished
	dead []item            // to be buried
}

// settle decides what became of each of n rows. The items are in the order in
// which they were produced.
func settle(n int, items []item) []settled {
	type stream struct{ topic, key string }
	rows := make([]settled, n)
	broken := map[stream]bool{}
	for _, it := range items {
		s := stream{it.msg.Topic, string(it.msg.Key)}
		row := &rows[it.row]
		switch {
		case it.reason != "":
			row.dead = append(row.dead, it)
		case it.err != nil:
			row.keep = append(row.keep, it.msg)
			if it.msg.Key != nil { // Without a key there is no order.
				broken[s] = true
			}
		case broken[s]:
			row.keep = append(row.keep, it.msg) // Acknowledged ahead of an earlier one.
		}
	}
	return rows
}

// recordFault says that the broker refused a record, or the batch it was in,
// for what it is. Sent alone, the record itself is to blame.
func recordFault(err error) bool {
	return isAny(err, kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidRecord,
		kerr.InvalidTimestamp, kerr.UnsupportedForMessageFormat)
}

// topicFault says that a topic does not take records. It may be about to be
// created or authorised, so it is given some time.
func topicFault(err error) bool {
	return isAny(err, kerr.UnknownTopicOrPartition, kerr.UnknownTopicID,
		kerr.InvalidTopicException, kerr.TopicAuthorizationFailed)
}

func isAny(err error, targets ...error) bool {
	for _, t := range targets {
		if errors.Is(err, t) {
			return true
		}
	}
	return false
}
