package outbox

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/ballast/pkg/message"
)

// DeadSchema is what a later migration of a service must contain, verbatim: the
// columns for what operators decide about dead messages.
//
//go:embed schema_dead.sql
var DeadSchema string

// Decision is what became of a dead row.
type Decision string

// The decisions.
const (
	Replayed  Decision = "replayed"  // its messages are in the outbox again
	Discarded Decision = "discarded" // given up for good
)

// Dead is a row of outbox_dead: messages that could not be published.
type Dead struct {
	ID int64 `json:"id"`
	// OutboxID is the row of the outbox that they were in.
	OutboxID int64     `json:"outboxId"`
	DiedAt   time.Time `json:"diedAt"`
	Reason   string    `json:"reason"`
	// Bytes is the size of all messages, packed.
	Bytes int `json:"bytes"`
	// Messages are empty when the row can't be read.
	Messages []DeadMessage `json:"messages"`

	// Decision is empty while the row is open.
	Decision  Decision   `json:"decision,omitempty"`
	By        string     `json:"by,omitempty"`
	Why       string     `json:"why,omitempty"`
	DecidedAt *time.Time `json:"decidedAt,omitempty"`
}

// DeadMessage is one message of a dead row.
type DeadMessage struct {
	ID      string    `json:"id"`
	Type    string    `json:"type"`
	Topic   string    `json:"topic"`
	Key     string    `json:"key"`
	Version int64     `json:"version,omitempty"`
	Time    time.Time `json:"time"`
	// Value is the Protobuf encoding; only DeadByID returns it.
	Value []byte `json:"value,omitempty"`
}

// Verdict is an operator's decision about some rows.
type Verdict struct {
	IDs []int64 `json:"ids"`
	// By is who decided, Why the reason: required to discard.
	By  string `json:"by"`
	Why string `json:"why"`
}

// validate says what is wrong with a verdict, for the operator.
func (v Verdict) validate(d Decision) error {
	var errs []error
	if len(v.IDs) == 0 {
		errs = append(errs, errors.New("ids: name at least one row"))
	}
	if v.By == "" {
		errs = append(errs, errors.New("by: say who decides"))
	}
	if v.Why == "" && d == Discarded {
		errs = append(errs, errors.New("why: say why it may be given up"))
	}
	return errors.Join(errs...)
}

// deadColumns are read into a Dead by scanDead.
const deadColumns = `id, outbox_id, died_at, reason, messages, coalesce(decision, ''), coalesce(decided_by, ''), coalesce(decided_why, ''), decided_at`

// DeadRows lists dead rows with an id above after, oldest first, at most limit
// of them: the open ones, or all. Values are left out: they may be large.
func (r *Relay) DeadRows(ctx context.Context, after int64, limit int, all bool) ([]Dead, error) {
	const query = `select ` + deadColumns + ` from outbox_dead where id > $1 and (decision is null or $3) order by id limit $2`
	rows, err := r.queryDead(ctx, query, after, limit, all)
	for i := range rows {
		for j := range rows[i].Messages {
			rows[i].Messages[j].Value = nil
		}
	}
	return rows, err
}

// DeadByID returns one row with its values, or pgx.ErrNoRows.
func (r *Relay) DeadByID(ctx context.Context, id int64) (Dead, error) {
	rows, err := r.queryDead(ctx, `select `+deadColumns+` from outbox_dead where id = $1`, id)
	if err == nil && len(rows) == 0 {
		err = pgx.ErrNoRows
	}
	if err != nil {
		return Dead{}, err
	}
	return rows[0], nil
}

func (r *Relay) queryDead(ctx context.Context, query string, args ...any) ([]Dead, error) {
	rows, err := r.Pool.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read outbox_dead: %w", err)
	}
	dead, err := pgx.CollectRows(rows, scanDead)
	if err != nil {
		return nil, fmt.Errorf("read outbox_dead: %w", err)
	}
	return dead, nil
}

func scanDead(row pgx.CollectableRow) (Dead, error) {
	var d Dead
	var packed []byte
	err := row.Scan(&d.ID, &d.OutboxID, &d.DiedAt, &d.Reason, &packed, &d.Decision, &d.By, &d.Why, &d.DecidedAt)
	d.Bytes = len(packed)
	msgs, unreadable := message.Unpack(packed)
	if unreadable != nil {
		return d, err // The reason says so, too.
	}
	for _, m := range msgs {
		d.Messages = append(d.Messages, DeadMessage{
			ID: m.ID, Type: m.Type, Topic: m.Topic, Key: string(m.Key), Version: m.Version, Time: m.Time, Value: m.Value,
		})
	}
	return d, err
}

// Decide ends open rows and returns the ids of those that were open. Others,
// such as those that somebody else has just decided about, stay as they are: so
// the same call twice does nothing the second time.
//
// Replayed rows are in the outbox again, in one transaction with the decision
// and in the order in which they were queued first. They are published after
// whatever of their keys has been published meanwhile: consumers decide by
// version and state, so a message that others have overtaken changes nothing.
func (r *Relay) Decide(ctx context.Context, d Decision, v Verdict) ([]int64, error) {
	const decide = `
		with decided as (
			update outbox_dead set decision = $2, decided_by = $3, decided_why = $4, decided_at = now()
			where id = any($1) and decision is null
			returning id, outbox_id, messages
		), again as (
			insert into outbox (messages)
			select messages from decided where $2 = 'replayed' order by outbox_id, id
		)
		select id from decided order by id`
	rows, err := r.Pool.Query(ctx, decide, v.IDs, string(d), v.By, v.Why)
	if err != nil {
		return nil, fmt.Errorf("decide about dead rows: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("decide about dead rows: %w", err)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	r.Signal()
	r.Logger.InfoContext(ctx, "an operator decided about dead messages", "decision", string(d), "outbox_ids", ids, "operator", v.By, "why", v.Why)
	return ids, nil
}
