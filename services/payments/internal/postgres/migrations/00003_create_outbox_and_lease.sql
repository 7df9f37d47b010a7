-- +goose Up
-- One row per kind of work that one process at a time should do. Leadership
-- saves work; whatever must be safe checks the epoch with lease_fence.
create table lease (
    name       text primary key,
    holder     text        not null,
    epoch      bigint      not null,
    expires_at timestamptz not null
) with (fillfactor = 50); -- Renewals stay on their page.

-- lease_fence aborts the caller's transaction unless the lease is still in the
-- epoch that the caller was given. It locks the row, so that no other process
-- takes the lease over before the caller's transaction has ended.
-- +goose StatementBegin
create function lease_fence(lease_name text, lease_epoch bigint) returns void
language plpgsql as $$
begin
    perform from lease where name = lease_name and epoch = lease_epoch for share;
    if not found then
        raise exception 'lease % has left epoch %', lease_name, lease_epoch using errcode = 'BL001';
    end if;
end $$;
-- +goose StatementEnd

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

-- +goose Down
drop table outbox_dead;
drop table outbox;
drop function lease_fence;
drop table lease;
