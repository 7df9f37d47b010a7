package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/ballast/pkg/lease"
	"example.com/ballast/pkg/message"
)

const (
	// fetchRows bounds a turn. A row holds a transaction's messages, often a
	// hundred, so this is several thousand messages.
	fetchRows = 64
	// flushEvery lumps deletions: one statement for what ten turns published.
	flushEvery = 100 * time.Millisecond
	// again is the pause after a failed turn.
	again = 100 * time.Millisecond
)

// term is one period of leadership. Only its loop touches it.
type term struct {
	*Relay
	epoch   int64
	window  *window
	rest    map[int64][]message.Message // of rows published in part: what is left
	alone   int64                       // rows up to this id go out one message at a time
	topics  map[string]*trouble
	fetched time.Time // when the database said how long rows had waited
	flushed time.Time
	logged  time.Time
}

// row is one row of the outbox.
type row struct {
	ID       int64
	Messages []byte
	Waited   float64 // seconds since its transaction began, by the database's clock
}

func newTerm(r *Relay, epoch int64) *term {
	return &term{
		Relay: r, epoch: epoch, window: newWindow(), flushed: time.Now(),
		rest: map[int64][]message.Message{}, topics: map[string]*trouble{},
	}
}

// loop takes turns until ctx ends. When a turn filled up, or failed, the next
// one follows by itself; else something has to happen first.
func (t *term) loop(ctx context.Context) error {
	for ctx.Err() == nil {
		select {
		case ids := <-t.late:
			t.window.found(ids, time.Now())
		default:
		}
		if !t.guard.Healthy() {
			pauseFor(ctx, again)
			continue
		}
		full, err := t.turn(ctx)
		pause, wake := t.Poll, t.wake
		switch {
		case t.Lease.Refused(ctx, err):
			return nil // Another process leads; this one's lease will tell it, too.
		case err != nil && ctx.Err() == nil:
			t.complain(ctx, err)
			pause, wake = again, nil
		case full:
			continue
		}
		if len(t.window.acked) > 0 {
			pause = min(pause, max(0, flushEvery-time.Since(t.flushed)))
		}
		select {
		case <-ctx.Done():
		case <-wake:
		case <-time.After(pause):
		case ids := <-t.late:
			t.window.found(ids, time.Now())
		}
	}
	// What was acknowledged is better deleted by this process than published
	// again by the next. It is harmless without the lease.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := t.flush(ctx); err != nil {
		t.complain(ctx, err)
	}
	return nil
}

// complain logs a failure that the next turn may well repeat.
func (t *term) complain(ctx context.Context, err error) {
	if time.Since(t.logged) >= time.Second {
		t.logged = time.Now()
		t.Logger.WarnContext(ctx, "outbox relay failed and goes on", "error", err)
	}
}

// turn publishes what one select returns, and says whether there may be more.
func (t *term) turn(ctx context.Context) (full bool, err error) {
	if time.Since(t.flushed) >= flushEvery {
		if err := t.flush(ctx); err != nil {
			return false, err
		}
	}
	limit, alone := fetchRows, t.alone > 0
	if alone {
		limit = 1
	}
	rows, err := t.fetch(ctx, limit)
	if err != nil || len(rows) == 0 {
		return false, err
	}
	items := t.unpack(rows)
	if alone {
		err = t.publishAlone(ctx, items)
	} else {
		err = t.publish(ctx, items)
	}
	if err != nil {
		t.window.stepBack(rows[0].ID)
		return false, err
	}
	for i := range items {
		t.judge(&items[i], rows[items[i].row].ID, alone)
	}
	if alone && rows[len(rows)-1].ID >= t.alone {
		t.alone = 0
	}
	return len(rows) >= limit, t.conclude(ctx, rows, items)
}

// fetch selects the gaps and the next rows above the hint.
func (t *term) fetch(ctx context.Context, limit int) ([]row, error) {
	const fetch = `
		(select id, messages, extract(epoch from clock_timestamp() - created_at)::float8
		 from outbox where id = any($1) and id <= $2)
		union all
		(select id, messages, extract(epoch from clock_timestamp() - created_at)::float8
		 from outbox where id > $2 order by id limit $3)
		order by id`
	var rows []row
	b := &pgx.Batch{}
	// The plan is made once, perhaps while the table is empty and a scan of it
	// looks cheap; it must not be one when the table is full of dead rows.
	b.Queue(`select set_config('enable_seqscan', 'off', true)`)
	b.Queue(fetch, t.window.wanted(), t.window.hint, limit).Query(func(got pgx.Rows) (err error) {
		rows, err = pgx.CollectRows(got, pgx.RowToStructByPos[row])
		return err
	})
	if err := t.Pool.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("select from outbox: %w", err)
	}
	t.fetched = time.Now()
	ids := make([]int64, len(rows))
	fresh := rows[:0]
	for i, r := range rows {
		ids[i] = r.ID
		if !t.window.acked[r.ID] {
			fresh = append(fresh, r)
		}
	}
	t.window.saw(ids, time.Now())
	t.hint.Store(t.window.hint)
	return fresh, nil
}

// unpack returns the rows' messages in order. A row that cannot be read becomes
// one dead item.
func (t *term) unpack(rows []row) []item {
	var items []item
	for i, r := range rows {
		msgs, known := t.rest[r.ID]
		if !known {
			var err error
			if msgs, err = message.Unpack(r.Messages); err != nil {
				items = append(items, item{row: i, reason: "not readable: " + err.Error()})
				continue
			}
		}
		queued := t.fetched.Add(-time.Duration(r.Waited * float64(time.Second)))
		for _, m := range msgs {
			items = append(items, item{row: i, msg: m, queued: queued})
		}
	}
	return items
}

// conclude remembers finished rows for their deletion, buries the dead, and
// goes back to the first row that has to be tried again.
func (t *term) conclude(ctx context.Context, rows []row, items []item) error {
	var failed error
	results := settle(len(rows), items)
	for i, res := range results {
		id := rows[i].ID
		if len(res.dead) > 0 {
			if err := t.bury(ctx, rows[i], res); err != nil {
				t.window.stepBack(rows[0].ID)
				return err
			}
		}
		if len(res.keep) > 0 {
			t.rest[id] = res.keep
			continue
		}
		delete(t.rest, id)
		t.window.acked[id] = true
		t.metrics.wait.Record(ctx, rows[i].Waited+time.Since(t.fetched).Seconds())
	}
	t.unacked.Store(int64(len(t.window.acked)))
	var published int64
	for _, it := range items {
		switch {
		case it.reason != "":
		case it.err == nil:
			published++
		case failed == nil: // The others rarely say anything else.
			failed = fmt.Errorf("publish %s to %s: %w", it.msg.Type, it.msg.Topic, it.err)
		}
	}
	t.published.Add(published)
	t.metrics.published.Add(ctx, published)
	for i, res := range results {
		if len(res.keep) > 0 {
			t.window.stepBack(rows[i].ID)
			if err := t.flush(ctx); err != nil { // Or they would be selected again.
				return errors.Join(failed, err)
			}
			break
		}
	}
	return failed
}

// flush deletes what was acknowledged. The commit does not wait for the disk: a
// deletion that a crash undoes leads to a repetition, which is allowed.
func (t *term) flush(ctx context.Context) error {
	t.flushed = time.Now()
	if len(t.window.acked) == 0 {
		return nil
	}
	b := &pgx.Batch{}
	b.Queue(`select set_config('synchronous_commit', 'off', true)`)
	b.Queue(`delete from outbox where id = any($1)`, t.window.pending())
	if err := t.Pool.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("delete published rows from outbox: %w", err)
	}
	clear(t.window.acked)
	t.unacked.Store(0)
	return nil
}

// bury moves a row's dead messages to outbox_dead and leaves the others. It is
// the relay's only write that a stale leader must not make.
func (t *term) bury(ctx context.Context, r row, res settled) error {
	b := &pgx.Batch{}
	lease.Fence(b, t.Lease.Name(), t.epoch)
	for _, it := range res.dead {
		packed := r.Messages
		if it.msg.Topic != "" {
			packed = message.AppendPacked(nil, []message.Message{it.msg})
		}
		b.Queue(`insert into outbox_dead (outbox_id, messages, reason) values ($1, $2, $3)`, r.ID, packed, it.reason)
	}
	if len(res.keep) > 0 {
		b.Queue(`update outbox set messages = $2 where id = $1`, r.ID, message.AppendPacked(nil, res.keep))
	} else {
		b.Queue(`delete from outbox where id = $1`, r.ID)
	}
	if err := t.Pool.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("bury messages of outbox row %d: %w", r.ID, err)
	}
	for _, it := range res.dead {
		t.dead.Add(1)
		t.metrics.dead.Add(ctx, 1)
		t.Logger.ErrorContext(ctx, "message can't be published and was moved to outbox_dead",
			"outbox_id", r.ID, "message_id", it.msg.ID, "type", it.msg.Type, "topic", it.msg.Topic, "reason", it.reason)
	}
	return nil
}
