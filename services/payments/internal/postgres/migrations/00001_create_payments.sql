-- +goose Up
-- The one payment of an order. What may follow what is decided in the domain;
-- the checks hold what must be true of any row, whoever writes it.
create table payments (
    order_id       uuid        not null constraint payments_pkey primary key,
    status         text        not null,
    currency       text        not null,
    amount         bigint      not null, -- minor units
    version        bigint      not null constraint payments_version check (version > 0),
    charge_version bigint      not null, -- at which the charge was answered, 0 when it was not
    captured       boolean     not null,
    intent_id      text        not null, -- empty before it is known, then written once
    key_number     integer     not null constraint payments_key_number check (key_number > 0),
    key_born_at    timestamptz not null,
    decline_code   text        not null,
    attempts       integer     not null,
    trace          text        not null,
    updated_at     timestamptz not null,
    lease_until    timestamptz not null, -- by the database's clock
    constraint payments_status check (status in ('PENDING', 'CHARGED', 'DECLINED', 'VOIDING', 'VOIDED', 'REFUNDED')),
    constraint payments_amount check (amount > 0 and currency <> '' or amount = 0 and status = 'VOIDED'),
    constraint payments_captured check (
        case status
            when 'CHARGED' then captured and intent_id <> ''
            when 'REFUNDED' then captured and intent_id <> ''
            when 'VOIDING' then true
            else not captured
        end),
    constraint payments_charge_version check (charge_version <= version)
) with (fillfactor = 60); -- The intent's id and the result are updates soon after the insert: they stay on the page.

-- Claim: open payments whose lease has expired, the longest first.
create index payments_open on payments (lease_until) where status in ('PENDING', 'VOIDING');

-- expect_rows aborts a pipelined transaction in which a guarded write has met
-- fewer rows than it must: the caller reads and decides again.
-- +goose StatementBegin
create function expect_rows(actual bigint, expected bigint) returns void
language plpgsql as $$
begin
    if actual <> expected then
        raise exception 'wrote % rows of %: versions have moved on', actual, expected using errcode = '40001';
    end if;
end $$;
-- +goose StatementEnd

-- +goose Down
drop function expect_rows;
drop table payments;
