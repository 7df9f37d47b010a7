-- +goose Up
-- Ids of messages already taken, in one partition per hour of the message's own
-- time. That time is the same at every delivery, which makes the key unique
-- within the window, and dropping an hour is cheap.
create table inbox (
    consumer text        not null,
    id       text        not null,
    sent_at  timestamptz not null,
    primary key (consumer, id, sent_at)
) partition by range (sent_at);

-- The hours that have a partition: from_time <= sent_at < until_time.
create table inbox_window (
    only_row   boolean primary key default true check (only_row),
    from_time  timestamptz not null,
    until_time timestamptz not null
);
insert into inbox_window (from_time, until_time) values ('-infinity', '-infinity');

-- inbox_maintain makes partitions three hours ahead and drops those whose
-- messages are all older than keep. It runs with its owner's rights, because
-- the application's role creates no tables.
-- +goose StatementBegin
create function inbox_maintain(keep interval) returns void
language plpgsql security definer set search_path from current as $$
declare
    oldest timestamptz := date_trunc('hour', now() - keep, 'UTC');
    until  timestamptz := date_trunc('hour', now(), 'UTC') + interval '4 hours';
    hour   timestamptz;
    old    regclass;
begin
    perform from inbox_window for update; -- One maintainer at a time.
    hour := greatest(oldest, (select until_time from inbox_window));
    while hour < until loop
        execute format('create table %I partition of inbox for values from (%L) to (%L)',
            'inbox_' || to_char(hour at time zone 'UTC', 'YYYYMMDDHH24'), hour, hour + interval '1 hour');
        hour := hour + interval '1 hour';
    end loop;
    for old in
        select inhrelid::regclass from pg_inherits
        where inhparent = 'inbox'::regclass
          and inhrelid::regclass::text < 'inbox_' || to_char(oldest at time zone 'UTC', 'YYYYMMDDHH24')
    loop
        execute format('drop table %s', old);
    end loop;
    update inbox_window set from_time = oldest, until_time = greatest(until, until_time);
end $$;
-- +goose StatementEnd
select inbox_maintain('24 hours');

-- The service's own role takes messages; partitions are made and dropped with
-- the rights of their owner.
-- +goose StatementBegin
do $$
begin
    if exists (select from pg_roles where rolname = 'payments_app') then
        grant select, insert on inbox to payments_app;
        grant select on inbox_window to payments_app;
    end if;
end $$;
-- +goose StatementEnd

-- +goose Down
drop function inbox_maintain;
drop table inbox_window;
drop table inbox;
