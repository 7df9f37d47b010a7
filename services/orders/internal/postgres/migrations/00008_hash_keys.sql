-- +goose Up
-- Keys of clients are kept as hashes: base64url of SHA-256 of customer, newline and
-- key, as rpc.idempotencyKey has it. Those of earlier orders become the same, so that
-- a retry across the release still finds its order. A process of the earlier release
-- that runs on beside it looks for the plain key: let all of them end before this runs.
UPDATE orders SET idempotency_key =
    translate(rtrim(encode(sha256(convert_to(customer_id || E'\n' || idempotency_key, 'UTF8')), 'base64'), '='), '+/', '-_');

-- +goose Down
-- A hash has no way back: orders keep it, and a retry of theirs would not find them.
SELECT 1;
