-- +goose Up
-- Double entry: positive amounts debit the account, negative ones credit it. A
-- posting is the entries of one order and kind, and adds up to zero.
create table ledger_entries (
    entry_id  bigint      generated always as identity constraint ledger_entries_pkey primary key,
    order_id  uuid        not null,
    kind      text        not null,
    account   text        not null,
    currency  text        not null,
    amount    bigint      not null, -- minor units
    posted_at timestamptz not null,
    -- An order is charged once and refunded once. It also serves the lookups by order.
    constraint ledger_entries_once unique (order_id, kind, account),
    constraint ledger_entries_kind check (kind in ('charge', 'refund')),
    constraint ledger_entries_account check (account in ('provider_receivable', 'customer_payments')),
    constraint ledger_entries_side check (
        amount <> 0 and (amount > 0) = ((kind = 'charge') = (account = 'provider_receivable')))
);

-- Postings: reconciliation reads what was posted since a moment. Rows come in
-- the order of time, so a few pages of index serve millions.
create index ledger_entries_posted on ledger_entries using brin (posted_at);

-- One check per statement, not per row: a posting is inserted whole, and so is
-- a batch of them.
-- +goose StatementBegin
create function ledger_balanced() returns trigger
language plpgsql as $$
begin
    if exists (select from posted group by order_id, kind, currency having sum(amount) <> 0) then
        raise exception 'a posting does not add up to zero'
            using errcode = '23514', constraint = 'ledger_entries_balanced';
    end if;
    return null;
end $$;
create function ledger_append_only() returns trigger
language plpgsql as $$
begin
    raise exception 'the ledger is append-only: post the opposite instead'
        using errcode = '23514', constraint = 'ledger_entries_append_only';
end $$;
-- +goose StatementEnd

create trigger ledger_balanced after insert on ledger_entries
    referencing new table as posted for each statement execute function ledger_balanced();
create trigger ledger_append_only before update or delete or truncate on ledger_entries
    for each statement execute function ledger_append_only();

-- +goose Down
drop table ledger_entries;
drop function ledger_balanced;
drop function ledger_append_only;
