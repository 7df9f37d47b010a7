-- +goose Up
-- The service runs as orders_app, which owns nothing and so has no DDL. Whoever
-- makes the database makes that role first; where it is missing, as in tests, the
-- owner does everything. The events can be added to and never rewritten.
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'orders_app') THEN
        GRANT USAGE ON SCHEMA public TO orders_app;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO orders_app;
        REVOKE UPDATE, DELETE ON order_events FROM orders_app;
        ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO orders_app;
    END IF;
END $$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'orders_app') THEN
        ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM orders_app;
        REVOKE ALL ON ALL TABLES IN SCHEMA public FROM orders_app;
        REVOKE USAGE ON SCHEMA public FROM orders_app;
    END IF;
END $$;
-- +goose StatementEnd
