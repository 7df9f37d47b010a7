-- +goose Up
-- One row per kind of work that one process at a time should do. Leadership
-- saves work; whatever must be safe checks the epoch with lease_fence.
create table lease (
    name       text primary key,
    holder     text        not null,
    epoch      bigint      not null,
    expires_at timestamptz not null
) with (fillfactor = 50); -- Renewals stay on their page.

-- lease_fence aborts the caller's transaction unless the lease is still in the
-- epoch that the caller was given. It locks the row, so that no other process
-- takes the lease over before the caller's transaction has ended.
-- +goose StatementBegin
create function lease_fence(lease_name text, lease_epoch bigint) returns void
language plpgsql as $$
begin
    perform from lease where name = lease_name and epoch = lease_epoch for share;
    if not found then
        raise exception 'lease % has left epoch %', lease_name, lease_epoch using errcode = 'BL001';
    end if;
end $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION lease_fence;
DROP TABLE lease;
