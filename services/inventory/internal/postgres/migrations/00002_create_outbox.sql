-- +goose Up
create table outbox (
    id         bigint generated always as identity primary key,
    messages   bytea       not null,
    created_at timestamptz not null default now()
);

-- +goose Down
DROP TABLE outbox;
