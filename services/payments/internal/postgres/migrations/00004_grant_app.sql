-- +goose Up
-- The service's own role changes data and no tables; nobody but the owner can
-- touch what the ledger has posted. Where the role does not exist (tests, one
-- role for all) there is nothing to grant.
-- +goose StatementBegin
do $$
begin
    if exists (select from pg_roles where rolname = 'payments_app') then
        grant select, insert, update on payments, lease to payments_app;
        grant select, insert on ledger_entries to payments_app;
        grant select, insert, update, delete on outbox, outbox_dead to payments_app;
    end if;
end $$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
do $$
begin
    if exists (select from pg_roles where rolname = 'payments_app') then
        revoke all on payments, lease, ledger_entries, outbox, outbox_dead from payments_app;
    end if;
end $$;
-- +goose StatementEnd
