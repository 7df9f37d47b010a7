// Package timeline puts what happened to an order into one line of time: its
// events, the messages about it with their waits, and what the provider noted.
package timeline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/cmd/ballast/internal/api"
	ordersv1 "example.com/ballast/gen/orders/v1"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/stream"
)

// Kinds of steps.
const (
	Event    = "event"    // of the order's history
	Message  = "message"  // a record in a topic of a service
	Aside    = "aside"    // a record in a retry topic, or among dead letters
	Provider = "provider" // a line of the provider's own book
)

// Step is one thing that happened. Times are in milliseconds.
type Step struct {
	// At is the time since the order was placed.
	At   float64   `json:"atMs"`
	Time time.Time `json:"time"`
	Kind string    `json:"kind"`
	// What is the type of the event or message, or the kind of the book's line.
	What string `json:"what"`
	// Place is topic/partition/offset; an event that has none is not published.
	Place string `json:"place,omitempty"`
	// Outbox is how long the message took from what it tells of to the broker.
	Outbox *float64 `json:"outboxMs,omitempty"`
	// Answered is how long it took from the broker to the answer: waiting in the
	// topic and being worked on.
	Answered *float64 `json:"answeredMs,omitempty"`
	Detail   string   `json:"detail,omitempty"`

	answerIn string // the prefix of the topics that an answer comes in
	written  time.Time
}

// Build sorts what is known by time.
func Build(placed time.Time, events []*ordersv1.OrderEvent, records []*kgo.Record, book []api.BookLine) []Step {
	var steps []Step
	versions := make(map[int64]int, len(events))
	for i, e := range events {
		versions[e.GetVersion()] = i
		steps = append(steps, Step{Time: e.GetOccurTime().AsTime(), Kind: Event, What: short(e.GetType()), Detail: e.GetDetail()})
	}
	for _, r := range records {
		s, version := ofRecord(r)
		// The event and the message that tells of it are one thing.
		if i, same := versions[version]; same && s.Kind == Message && r.Topic == orderEvents && steps[i].Place == "" {
			steps[i].Place, steps[i].Outbox = s.Place, s.Outbox
			continue
		}
		steps = append(steps, s)
	}
	for _, l := range book {
		steps = append(steps, Step{Time: time.UnixMilli(l.TimeMilli).UTC(), Kind: Provider, What: l.Kind, Detail: noted(l)})
	}
	slices.SortStableFunc(steps, func(a, b Step) int { return a.Time.Compare(b.Time) })
	for i := range steps {
		steps[i].At = milliseconds(steps[i].Time.Sub(placed))
		answer(&steps[i], steps)
	}
	return steps
}

const orderEvents = "orders.events"

// ofRecord reads a message and its version, one that was set aside with the
// reason.
func ofRecord(r *kgo.Record) (s Step, version int64) {
	s = Step{Time: r.Timestamp, Kind: Message, Place: fmt.Sprintf("%s/%d/%d", r.Topic, r.Partition, r.Offset), written: r.Timestamp}
	original := stream.Original(r)
	m, err := message.FromRecord(original)
	s.What = cmp.Or(short(m.Type), "no message")
	if o, aside := stream.ReadOrigin(r); aside {
		s.Kind = Aside
		s.Detail = strings.TrimSuffix(fmt.Sprintf("%s, attempt %d: %s", o.Reason, o.Attempts, o.Message), ": ")
		return s, 0
	}
	if err != nil {
		s.Detail = "not readable"
		return s, 0
	}
	s.answerIn = answers(r.Topic)
	if !m.Time.IsZero() {
		s.Time = m.Time
		wait := milliseconds(r.Timestamp.Sub(m.Time))
		s.Outbox = &wait
	}
	return s, m.Version
}

// answers says in whose topic a message is answered: a command by the service
// that it was sent to, and what that service says by the order.
func answers(topic string) string {
	service, kind, _ := strings.Cut(topic, ".")
	switch {
	case kind == "commands":
		return service + ".events/"
	case service != "orders" && kind == "events":
		return orderEvents + "/"
	}
	return ""
}

// answer finds the first message that came of this one: an order takes one step
// at a time, so it is the next one that its answerer has said.
func answer(s *Step, steps []Step) {
	if s.answerIn == "" {
		return
	}
	for i := range steps {
		next := &steps[i]
		if next.Kind != Aside && strings.HasPrefix(next.Place, s.answerIn) && !next.Time.Before(s.Time) {
			took := milliseconds(next.Time.Sub(s.written))
			s.Answered = &took
			return
		}
	}
}

func noted(l api.BookLine) string {
	text := l.Intent
	if l.Amount != 0 {
		text += fmt.Sprintf(" %d %s minor units", l.Amount, strings.ToUpper(l.Currency))
	}
	if l.Code != "" {
		text += " " + l.Code
	}
	if l.Lost {
		text += ", answered with a 500"
	}
	return strings.TrimSpace(text)
}

func short(typ string) string { return typ[strings.LastIndexByte(typ, '.')+1:] }

func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond).Microseconds()) / 1000
}
