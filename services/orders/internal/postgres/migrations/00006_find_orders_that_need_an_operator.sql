-- +goose NO TRANSACTION
-- +goose Up
-- needs_operator is status = 7 in a column of its own: an index on the status
-- itself would make every update of an order write to it (no HOT). Adding it
-- rewrites nothing, and the index is built beside the writers. A process of the
-- earlier release leaves it false, and its orders out of list and alarm, until
-- they are next written.
ALTER TABLE orders ADD COLUMN IF NOT EXISTS needs_operator boolean NOT NULL DEFAULT false;
UPDATE orders SET needs_operator = true WHERE status = 7 AND NOT needs_operator;
-- ListOrders by this status, and the alarm's count: few, or else all is lost.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_need_operator ON orders (order_id) WHERE needs_operator;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS orders_need_operator;
ALTER TABLE orders DROP COLUMN IF EXISTS needs_operator;
