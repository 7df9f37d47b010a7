-- +goose Up
-- 00004 gave orders_app all rights on nearly every table, goose's among them, and on
-- those to come. It keeps what the service does; a later table is granted where it is made.
-- +goose StatementBegin
do $$
begin
    if exists (select from pg_roles where rolname = 'orders_app') then
        alter default privileges in schema public revoke all on tables from orders_app;
        alter default privileges in schema public revoke all on sequences from orders_app;
        revoke all on all tables in schema public from orders_app;
        grant select, insert, update, delete on outbox to orders_app;
        grant select, insert, update on orders, products, lease, outbox_dead to orders_app;
        grant select, insert on order_events, order_recipients to orders_app;
    end if;
end $$;
-- +goose StatementEnd

-- +goose Down
-- Nothing: what was taken back was never needed.
select 1;
