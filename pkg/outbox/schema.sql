-- Messages that are committed with the state change that they tell of, and wait
-- to be published. One row holds all messages of one transaction: fewer rows
-- cost less than smaller ones. The id is taken inside the transaction, after
-- the aggregate's row was locked, so ids rise within an aggregate.
create table outbox (
    id         bigint generated always as identity primary key,
    messages   bytea       not null,
    created_at timestamptz not null default now()
) with (
    -- Rows live for a fraction of a second: clean up by count, and at full speed.
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0,
    toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 2000, toast.autovacuum_vacuum_cost_delay = 0
);
-- Compressing what lives so briefly costs more CPU than it saves.
alter table outbox alter column messages set storage external;

-- Messages that could not be published, each with its reason. To send them
-- after the reason is gone:
--   with again as (delete from outbox_dead where ... returning id, messages)
--   insert into outbox (messages) select messages from again order by id;
create table outbox_dead (
    id        bigint generated always as identity primary key,
    outbox_id bigint      not null,
    messages  bytea       not null,
    reason    text        not null,
    died_at   timestamptz not null default now()
);
