package stack

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/ballast/pkg/servers"
)

// PostgresURL is how the superuser, or whoever POSTGRES_URL named, reaches a
// database of the stack: for tools that look from outside.
func (h Home) PostgresURL(database string) (string, error) {
	return h.RoleURL(database + "_admin")
}

// RoleURL is how a role reaches its database: <service>_owner, <service>_app.
func (h Home) RoleURL(role string) (string, error) {
	content, err := readFile(h.urlFile(role))
	if err != nil {
		return "", fmt.Errorf("database URL: %w", err)
	}
	return content, nil
}

// databases makes a database for every service, owned by a role that migrates it
// and used by another that can't change the schema. It can be repeated.
func (u *upper) databases(ctx context.Context) error {
	began := time.Now()
	admin := u.External.PostgresURL
	if admin == "" {
		password, err := u.Home.Secret(servers.Superuser)
		if err != nil {
			return err
		}
		admin = (&url.URL{
			Scheme: "postgres", User: url.UserPassword(servers.Superuser, password),
			Host: u.endpoints.Postgres, Path: "/postgres", RawQuery: "sslmode=disable",
		}).String()
	}
	for _, name := range services {
		if err := u.database(ctx, admin, name); err != nil {
			return fmt.Errorf("database %s: %w", name, err)
		}
	}
	u.console.Printf("databases ready after %.1f s", time.Since(began).Seconds())
	return nil
}

func (u *upper) database(ctx context.Context, admin, name string) error {
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	owner, app := name+"_owner", name+"_app"
	for _, role := range []string{owner, app} {
		if err := u.role(ctx, conn, admin, name, role); err != nil {
			return err
		}
	}
	var exists bool
	const known = `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`
	if err := conn.QueryRow(ctx, known, name).Scan(&exists); err != nil {
		return err
	}
	if !exists {
		// An administrator who is no superuser must be a member to give away.
		for _, sql := range []string{"GRANT " + owner + " TO CURRENT_USER", "CREATE DATABASE " + name + " OWNER " + owner} {
			if _, err := conn.Exec(ctx, sql); err != nil {
				return err
			}
		}
	}
	inside, err := withPath(admin, name)
	if err != nil {
		return err
	}
	if err := writeFile(u.Home.urlFile(name+"_admin"), []byte(inside+"\n"), 0o600); err != nil {
		return err
	}
	return grant(ctx, inside, name, owner, app)
}

// role makes the role with the password of this stack, and a file with the URL
// by which it reaches the database.
func (u *upper) role(ctx context.Context, conn *pgx.Conn, admin, database, role string) error {
	password, err := u.Home.Secret(role)
	if err != nil {
		return err
	}
	var exists bool
	const known = `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)`
	if err := conn.QueryRow(ctx, known, role).Scan(&exists); err != nil {
		return err
	}
	verb := "CREATE"
	if exists {
		verb = "ALTER"
	}
	// Utility statements take no parameters; the password is letters and digits.
	if _, err := conn.Exec(ctx, verb+" ROLE "+role+" LOGIN PASSWORD '"+password+"'"); err != nil {
		return err
	}
	parsed, err := url.Parse(admin)
	if err != nil {
		return err
	}
	parsed.User, parsed.Path = url.UserPassword(role, password), "/"+database
	parsed.Host = u.through("postgres-"+database, parsed.Host)
	return writeFile(u.Home.urlFile(role), []byte(parsed.String()+"\n"), 0o600)
}

// urlFile is the file with the URL of a role.
func (h Home) urlFile(role string) string { return h.Path("secrets", role+".url") }

// grant says who may do what inside a database.
func grant(ctx context.Context, url, database, owner, app string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, sql := range []string{
		// Nobody but its own service reads a database.
		"REVOKE ALL ON DATABASE " + database + " FROM PUBLIC",
		"GRANT CONNECT ON DATABASE " + database + " TO " + app,
		"REVOKE ALL ON SCHEMA public FROM PUBLIC",
		"GRANT ALL ON SCHEMA public TO " + owner,
		"GRANT USAGE ON SCHEMA public TO " + app,
		// What a migration makes, the service may use, but not alter.
		"ALTER DEFAULT PRIVILEGES FOR ROLE " + owner + " IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO " + app,
		"ALTER DEFAULT PRIVILEGES FOR ROLE " + owner + " IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO " + app,
		// A forgotten transaction or a lock held too long must not stop the others.
		"ALTER ROLE " + app + " SET idle_in_transaction_session_timeout = '2s'",
		"ALTER ROLE " + app + " SET lock_timeout = '1s'",
		// It measures the age of all transactions, also the owner's. An administrator
		// who may not give that away leaves it the age of its own.
		"DO $$ BEGIN GRANT pg_read_all_stats TO " + app + "; EXCEPTION WHEN insufficient_privilege THEN NULL; END $$",
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// withPath replaces the database in a URL.
func withPath(raw, database string) (string, error) {
	parsed, err := url.Parse(raw)
	if err != nil {
		return "", err
	}
	parsed.Path = "/" + database
	return parsed.String(), nil
}
