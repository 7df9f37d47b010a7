// Package postgres keeps the orders: the events, which are the truth, their
// projection, and this service's copy of the products.
//
// Every writer (intake, consumer, CancelOrder, sweeper) is equal: it reads
// without locks, decides with the pure domain, and writes in one pipelined
// transaction that the primary key of order_events guards: of two that decided
// from the same version one fails, reads again and decides again.
package postgres

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/services/orders/internal/order"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations of the database of orders, for the owner role.
func Migrations() fs.FS {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // The path is a constant and valid.
	}
	return sub
}

// Codec turns events and commands into messages and stored bytes into events.
type Codec interface {
	Event(r order.Recorded, trace string) message.Message
	Command(c order.Command, now time.Time, trace string) message.Message
	Stored(typ string, data []byte) (order.Event, error)
}

// Config of a Store; every field is needed.
type Config struct {
	Pool   *pgxpool.Pool
	Codec  Codec
	Policy order.Policy
	// Now is the clock. It is read once for a batch and stored in its events.
	Now func() time.Time
	// Committed is called after every commit that wrote events, with what it has
	// added, once: it wakes the relay, and counts.
	Committed func(context.Context, []order.Change)
}

// Store is safe for concurrent use.
type Store struct{ Config }

// New makes a store.
func New(cfg Config) *Store { return &Store{cfg} }

// now is the time of a batch, in the precision that the database keeps: the
// projection and a fold of the events are equal to the last digit.
func (s *Store) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// change is what one writer wants to add to one order.
type change struct {
	order.Change

	commands []order.Command
}

// recorded is the trace if somebody records it, else empty.
func recorded(traceParent string) string {
	if m := (message.Message{TraceParent: traceParent}); !m.Sampled() {
		return ""
	}
	return traceParent
}

// record appends decided events to a change.
func (c *change) record(events []order.Event, commands []order.Command, at time.Time) {
	for _, e := range events {
		r := order.Recorded{Order: c.After.ID, Version: c.After.Version + 1, At: at, Event: e}
		c.After = order.Evolve(c.After, r)
		c.Events = append(c.Events, r)
	}
	c.commands = append(c.commands, commands...)
}

// messages are the events and commands of the changes, in the order in which
// they were decided.
func (s *Store) messages(changes []*change, at time.Time) (msgs []message.Message, events []message.Message) {
	for _, c := range changes {
		for _, r := range c.Events {
			m := s.Codec.Event(r, c.Trace)
			events = append(events, m)
			msgs = append(msgs, m)
		}
		for _, command := range c.commands {
			msgs = append(msgs, s.Codec.Command(command, at, c.Trace))
		}
	}
	return msgs, events
}

// uuids are ids as an argument. pgx knows this type by heart; of a named type
// with a Value method it asks for the text of each, which cost an eighth of this
// service's CPU.
type uuids = pgtype.FlatArray[[16]byte]

func orderIDs(changes []*change) uuids {
	list := make(uuids, len(changes))
	for i, c := range changes {
		list[i] = c.After.ID
	}
	return list
}

// lost turns the violation of the constraint that guards a write into
// pg.ErrConflict: another writer came first, so read and decide again.
func lost(err error, guard string) error {
	if pg.Constraint(err) == guard {
		return fmt.Errorf("%w: %w", pg.ErrConflict, err)
	}
	return err
}

// committed tells of changes that are durable now.
func (s *Store) committed(ctx context.Context, changes []*change) {
	if len(changes) == 0 {
		return
	}
	added := make([]order.Change, len(changes))
	for i, c := range changes {
		added[i] = c.Change
	}
	s.Committed(ctx, added)
}

// withEvents leaves out what changes nothing: duplicates are free.
func withEvents(changes []*change) []*change {
	return slices.DeleteFunc(changes, func(c *change) bool { return len(c.Events) == 0 })
}
