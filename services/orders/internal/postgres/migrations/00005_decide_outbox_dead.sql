-- +goose Up
-- What an operator decided about a dead message, who did, why and when. The row
-- stays: it is the record of what was done, and deciding it twice does nothing.
alter table outbox_dead
    add column decision    text,
    add column decided_by  text,
    add column decided_why text,
    add column decided_at  timestamptz,
    add constraint outbox_dead_decision check (decision in ('replayed', 'discarded')),
    add constraint outbox_dead_decided check (num_nulls(decision, decided_by, decided_why, decided_at) in (0, 4));

-- For those that nobody has decided about yet: listed, and counted every second.
create index outbox_dead_open on outbox_dead (id) where decision is null;

-- +goose Down
DROP INDEX outbox_dead_open;
ALTER TABLE outbox_dead DROP COLUMN decision, DROP COLUMN decided_by, DROP COLUMN decided_why, DROP COLUMN decided_at;
