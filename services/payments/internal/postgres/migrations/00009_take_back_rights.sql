-- +goose Up
-- Who made the database used to give the service's role all rights on every table
-- that was to come. What the service needs is granted where a table is made; the
-- ledger in particular is to be read and added to, and no more.
-- +goose StatementBegin
do $$
begin
    if exists (select from pg_roles where rolname = 'payments_app') then
        alter default privileges in schema public revoke all on tables from payments_app;
        alter default privileges in schema public revoke all on sequences from payments_app;
        revoke update, delete on ledger_entries, inbox from payments_app;
        revoke delete on payments, lease from payments_app;
        revoke insert, update, delete on inbox_window from payments_app;
    end if;
end $$;
-- +goose StatementEnd

-- +goose Down
-- Nothing: what was taken back was never needed.
select 1;
