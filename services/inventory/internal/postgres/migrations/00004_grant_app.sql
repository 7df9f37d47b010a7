-- +goose Up
-- The service runs as inventory_app, which owns nothing and so has no DDL. Whoever
-- makes the database makes that role first; where it is missing, as in tests, the
-- owner does everything. What is a journal can be added to and never rewritten.
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'inventory_app') THEN
        GRANT USAGE ON SCHEMA public TO inventory_app;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO inventory_app;
        REVOKE UPDATE, DELETE ON movements, receipts FROM inventory_app;
        ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO inventory_app;
    END IF;
END $$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'inventory_app') THEN
        ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM inventory_app;
        REVOKE ALL ON ALL TABLES IN SCHEMA public FROM inventory_app;
        REVOKE USAGE ON SCHEMA public FROM inventory_app;
    END IF;
END $$;
-- +goose StatementEnd
