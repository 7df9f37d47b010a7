// Package inbox remembers which messages a consumer has taken, for messages
// that have no natural key in the consumer's own tables: webhooks, mostly.
//
// It is a window, not a proof: ids older than the window are not known any
// more, so a handler's own keys and states must make a late repetition
// harmless. The id and the effects are written in one transaction.
package inbox

import (
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Schema is what a service's migration must contain, verbatim.
//
//go:embed schema.sql
var Schema string

// Entry identifies one message. SentAt is the message's own time, the same at
// every delivery: a repetition with another time counts as another message.
type Entry struct {
	ID     string
	SentAt time.Time
}

// Claims is what Claim found out about its entries.
type Claims struct {
	// Fresh says for each entry whether the caller has to handle it.
	Fresh []bool
	// Outside counts the fresh entries whose time lies outside the window, so
	// that nothing is known about them.
	Outside int
}

// Claim takes the entries for the consumer within tx. The second of two equal
// entries is not fresh. An entry that a concurrent transaction is claiming is
// waited for, up to the session's lock_timeout.
func Claim(ctx context.Context, tx pgx.Tx, consumer string, entries []Entry) (Claims, error) {
	ids, times := make([]string, len(entries)), make([]time.Time, len(entries))
	for i, e := range sorted(entries) {
		ids[i], times[i] = e.ID, e.SentAt
	}
	rows, err := tx.Query(ctx, claim, pgx.StrictNamedArgs{"consumer": consumer, "ids": ids, "times": times})
	if err != nil {
		return Claims{}, fmt.Errorf("claim in inbox: %w", err)
	}
	type taken struct {
		ID     string
		SentAt time.Time
		Inside bool
	}
	got, err := pgx.CollectRows(rows, pgx.RowToStructByPos[taken])
	if err != nil {
		return Claims{}, fmt.Errorf("claim in inbox: %w", err)
	}
	fresh := make(map[Entry]bool, len(got))
	c := Claims{Fresh: make([]bool, len(entries))}
	for _, t := range got {
		fresh[Entry{t.ID, micros(t.SentAt)}] = true
		if !t.Inside {
			c.Outside++
		}
	}
	for i, e := range entries {
		key := Entry{e.ID, micros(e.SentAt)}
		c.Fresh[i] = fresh[key]
		delete(fresh, key)
	}
	return c, nil
}

// claim inserts in the order of the primary key, so that two transactions with
// the same ids wait for each other instead of deadlocking.
const claim = `
	with entry as (
		select distinct u.id, u.sent_at, u.sent_at >= w.from_time and u.sent_at < w.until_time as inside
		from unnest(@ids::text[], @times::timestamptz[]) u(id, sent_at), inbox_window w
	), claimed as ( -- Only these have a partition to go to.
		insert into inbox (consumer, id, sent_at)
		select @consumer, id, sent_at from entry where inside order by id, sent_at
		on conflict do nothing
		returning id, sent_at
	)
	select id, sent_at, true from claimed
	union all
	select id, sent_at, false from entry where not inside`

// sorted returns the entries in the order of the primary key.
func sorted(entries []Entry) []Entry {
	s := slices.Clone(entries)
	slices.SortFunc(s, func(a, b Entry) int {
		if c := strings.Compare(a.ID, b.ID); c != 0 {
			return c
		}
		return a.SentAt.Compare(b.SentAt)
	})
	return s
}

// micros is a time as PostgreSQL returns it: microseconds, in one location.
func micros(t time.Time) time.Time { return t.Truncate(time.Microsecond).UTC() }

// Maintain keeps partitions for the messages of the last keep, and some hours
// ahead, until ctx ends. Any number of replicas may run it.
func Maintain(ctx context.Context, pool *pgxpool.Pool, keep time.Duration, logger *slog.Logger) error {
	const every = 10 * time.Minute // Far below the three hours made ahead.
	for {
		if err := MaintainOnce(ctx, pool, keep); err != nil && ctx.Err() == nil {
			logger.WarnContext(ctx, "inbox not maintained", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
	}
}

// MaintainOnce does one round of Maintain.
func MaintainOnce(ctx context.Context, pool *pgxpool.Pool, keep time.Duration) error {
	if _, err := pool.Exec(ctx, `select inbox_maintain($1)`, keep); err != nil {
		return fmt.Errorf("maintain inbox: %w", err)
	}
	return nil
}
