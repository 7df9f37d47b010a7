-- +goose Up
-- What 00009 left in a database whose maker had given payments_app all rights on tables
-- to come: those on goose's table, on the inbox's partitions and on later tables. And
-- nobody deletes from outbox_dead, the record of what was decided about a message.
-- +goose StatementBegin
do $$
begin
    if exists (select from pg_roles where rolname = 'payments_app') then
        revoke all on all tables in schema public from payments_app;
        grant select, insert, update, delete on outbox to payments_app;
        grant select, insert, update on payments, lease, outbox_dead to payments_app;
        grant select, insert, delete on suspects to payments_app;
        grant select, insert on ledger_entries, inbox to payments_app;
        grant select, update on comparison to payments_app;
        grant select on inbox_window to payments_app;
    end if;
end $$;
-- +goose StatementEnd

-- +goose Down
-- Nothing: what was taken back was never needed.
select 1;
