-- +goose Up
-- Definite answers of the provider that led nowhere, since the status changed. A
-- release that does not know the column leaves it as it is.
alter table payments add column setbacks integer not null default 0;

-- CountOpen: payments that are stuck, which an alarm watches. There are few or none.
create index payments_stuck on payments (order_id) where status in ('PENDING', 'VOIDING') and setbacks >= 20;

-- +goose Down
drop index payments_stuck;
alter table payments drop column setbacks;
