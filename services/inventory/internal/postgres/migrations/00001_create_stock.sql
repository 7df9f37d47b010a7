-- +goose Up
-- SKUs compare bytewise everywhere, so that what Go sorts and what Postgres
-- sorts, before it locks, is one order.
CREATE TABLE products (
    sku         text COLLATE "C" CONSTRAINT products_pkey PRIMARY KEY,
    description text NOT NULL,
    currency    text NOT NULL,
    price_minor bigint NOT NULL CONSTRAINT products_price_not_negative CHECK (price_minor >= 0),
    version     bigint NOT NULL,
    deleted     boolean NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now()
);

-- One row per SKU that was ever received; rows are never deleted. Hot SKUs are
-- rewritten with every batch: the free half of a page keeps those updates off
-- the index.
CREATE TABLE stock (
    sku      text COLLATE "C" CONSTRAINT stock_pkey PRIMARY KEY
             CONSTRAINT stock_product_known REFERENCES products,
    on_hand  bigint NOT NULL CONSTRAINT stock_on_hand_not_negative CHECK (on_hand >= 0),
    reserved bigint NOT NULL DEFAULT 0 CONSTRAINT stock_reserved_not_negative CHECK (reserved >= 0),
    CONSTRAINT stock_reserved_within_on_hand CHECK (reserved <= on_hand)
) WITH (fillfactor = 50);

-- One row per delivery: the movements that belong to no order.
CREATE TABLE receipts (
    receipt_id  text CONSTRAINT receipts_pkey PRIMARY KEY,
    skus        text[] NOT NULL,
    quantities  integer[] NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT receipts_lines CHECK (cardinality(skus) = cardinality(quantities))
);

-- One row per order: its hold and its shipment, under one version. "previous" is
-- the version that the last writer had read. A writer that had read anything but
-- the current one stores version 0, and reservations_version aborts it. Nearly
-- every row is rewritten once, by the shipment, hence the free half of a page.
CREATE TABLE reservations (
    order_id         uuid CONSTRAINT reservations_pkey PRIMARY KEY,
    version          bigint NOT NULL CONSTRAINT reservations_version CHECK (version > 0),
    previous         bigint NOT NULL,
    status           text NOT NULL CONSTRAINT reservations_status
                     CHECK (status IN ('none', 'reserved', 'rejected', 'released')),
    status_version   bigint NOT NULL,
    shipment_status  text NOT NULL CONSTRAINT reservations_shipment_status
                     CHECK (shipment_status IN ('none', 'scheduled', 'refused', 'cancelled')),
    shipment_version bigint NOT NULL,
    shipment_reason  text NOT NULL,
    shipment_detail  text NOT NULL,
    skus             text[] NOT NULL,
    quantities       integer[] NOT NULL,
    shortages        jsonb,
    updated_at       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT reservations_lines CHECK (cardinality(skus) = cardinality(quantities))
) WITH (fillfactor = 50);

-- The journal of the orders' units: rows that add up to the columns of stock.
-- The primary key is the natural key that moves units once per order and kind.
CREATE TABLE movements (
    order_id   uuid NOT NULL,
    kind       text NOT NULL CONSTRAINT movements_kind
               CHECK (kind IN ('reserve', 'release', 'ship', 'unship')),
    skus       text[] NOT NULL,
    quantities integer[] NOT NULL,
    moved_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT movements_pkey PRIMARY KEY (order_id, kind),
    CONSTRAINT movements_lines CHECK (cardinality(skus) = cardinality(quantities))
);

-- +goose Down
DROP TABLE movements, reservations, receipts, stock, products;
