-- +goose Up
-- Where our books and the provider's differ, or may: each comparison looks at
-- these again, whoever makes it, until they agree. Either name may be empty, and
-- neither need be one of ours.
create table suspects (
    order_id  text        not null,
    intent_id text        not null,
    found_at  timestamptz not null default now(),
    primary key (order_id, intent_id)
);

-- Up to when the books have been compared. What is older than the table, an
-- operator compares.
create table comparison (
    only_row   boolean     primary key default true check (only_row),
    until_time timestamptz not null
);
insert into comparison (until_time) values (now());

-- +goose StatementBegin
do $$
begin
    if exists (select from pg_roles where rolname = 'payments_app') then
        grant select, insert, delete on suspects to payments_app;
        grant select, update on comparison to payments_app;
    end if;
end $$;
-- +goose StatementEnd

-- +goose Down
drop table comparison;
drop table suspects;
