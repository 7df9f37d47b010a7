-- +goose Up
-- The traceparent of PlaceOrder where that trace is recorded, else empty: what the
-- sweeper or a person makes of an order later belongs to the same trace. A column
-- with a constant default rewrites nothing, and an earlier release leaves it empty.
ALTER TABLE orders ADD COLUMN trace text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE orders DROP COLUMN trace;
