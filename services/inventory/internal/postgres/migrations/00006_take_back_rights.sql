-- +goose Up
-- 00004 gave inventory_app all rights on nearly every table, goose's among them, and on
-- those to come. It keeps what the service does; a later table is granted where it is made.
-- +goose StatementBegin
do $$
begin
    if exists (select from pg_roles where rolname = 'inventory_app') then
        alter default privileges in schema public revoke all on tables from inventory_app;
        alter default privileges in schema public revoke all on sequences from inventory_app;
        revoke all on all tables in schema public from inventory_app;
        grant select, insert, update, delete on outbox to inventory_app;
        grant select, insert, update on products, stock, reservations, lease, outbox_dead to inventory_app;
        grant select, insert on movements, receipts to inventory_app;
    end if;
end $$;
-- +goose StatementEnd

-- +goose Down
-- Nothing: what was taken back was never needed.
select 1;
