-- +goose Up

-- orders is the projection of order_events: it can be dropped and rebuilt.
-- Updates touch no indexed column but "open", and that only at the end of an
-- order's life; the fill factor leaves room for them on the same page (HOT).
CREATE TABLE orders (
    order_id        uuid        CONSTRAINT orders_pkey PRIMARY KEY,
    customer_id     text        NOT NULL,
    idempotency_key text        NOT NULL,
    request_hash    bytea       NOT NULL,
    status          smallint    NOT NULL CONSTRAINT orders_status_known CHECK (status BETWEEN 1 AND 7),
    open            boolean     NOT NULL CONSTRAINT orders_open_by_status CHECK (open = (status IN (1, 2, 3, 5))),
    version         bigint      NOT NULL CONSTRAINT orders_version_positive CHECK (version > 0),
    currency        text        NOT NULL,
    total_minor     bigint      NOT NULL CONSTRAINT orders_total_positive CHECK (total_minor > 0),
    country         text        NOT NULL,
    undo            smallint    NOT NULL,
    seen_reserve    bigint      NOT NULL,
    seen_charge     bigint      NOT NULL,
    seen_ship       bigint      NOT NULL,
    resends         integer     NOT NULL,
    since           timestamptz NOT NULL,
    deadline        timestamptz CONSTRAINT orders_open_has_deadline CHECK (deadline IS NOT NULL OR NOT open),
    reason          smallint    NOT NULL,
    detail          text        NOT NULL,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    -- PlaceOrder's idempotency: the key lives as long as the order.
    CONSTRAINT orders_customer_key UNIQUE (customer_id, idempotency_key)
) WITH (fillfactor = 70);

-- ListOrders: a customer's orders, newest first (ids are UUIDv7).
CREATE INDEX orders_by_customer ON orders (customer_id, order_id DESC);
-- The sweeper: orders with something left to do are few at any moment.
CREATE INDEX orders_open ON orders (order_id) WHERE open;

-- order_events is the truth. The primary key is also the version guard: of two
-- writers that decided from the same version, one fails here and decides again.
CREATE TABLE order_events (
    order_id    uuid        NOT NULL,
    version     bigint      NOT NULL,
    type        text        NOT NULL,
    data        bytea       NOT NULL,
    occurred_at timestamptz NOT NULL,
    CONSTRAINT order_events_pkey PRIMARY KEY (order_id, version)
);

-- order_recipients holds the personal part of the address and can be erased
-- without touching an event.
CREATE TABLE order_recipients (
    order_id uuid  CONSTRAINT order_recipients_pkey PRIMARY KEY,
    address  jsonb NOT NULL
);

-- products is this service's own copy of the catalogue: ordering goes on when
-- inventory is down.
CREATE TABLE products (
    sku         text    CONSTRAINT products_pkey PRIMARY KEY,
    currency    text    NOT NULL,
    price_minor bigint  NOT NULL,
    version     bigint  NOT NULL,
    deleted     boolean NOT NULL
);

-- +goose Down
DROP TABLE products, order_recipients, order_events, orders;
