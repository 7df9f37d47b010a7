package access

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"

	"github.com/jackc/pgx/v5"
)

// Postgres makes a database for every service on one server, owned by a role that
// migrates it and used by another that can't change the schema.
type Postgres struct {
	// URL of a role that may create databases and roles.
	URL string
	// Alone says that the server has no other users: nobody is to look into the
	// database of the administrator either.
	Alone bool
	// Password of a role: letters and digits.
	Password func(role string) (string, error)
	// DryRun only tells what would be done.
	DryRun bool
}

// statement is one step in a database; the administrator's own when that is empty.
// The tables of a service are not here: their rights are granted where they are made,
// by its migrations.
type statement struct {
	database, sql string
	// said is for people, in place of what must not be shown.
	said string
}

// Apply brings the server to what it should be, and says how. It can be repeated.
func (p Postgres) Apply(ctx context.Context, out io.Writer) error {
	admin, err := pgx.Connect(ctx, p.URL)
	if err != nil {
		return fmt.Errorf("postgres, as the administrator: %w", err)
	}
	defer func() { _ = admin.Close(context.WithoutCancel(ctx)) }()
	var all []statement
	for _, name := range Names() {
		some, err := p.plan(ctx, admin, name)
		if err != nil {
			return fmt.Errorf("database %s: %w", name, err)
		}
		all = append(all, some...)
	}
	if p.Alone {
		for _, name := range []string{"postgres", "template1"} {
			all = append(all, statement{sql: "REVOKE ALL ON DATABASE " + name + " FROM PUBLIC"})
		}
	}
	return p.run(ctx, admin, all, out)
}

// run executes the statements in order, each where it belongs.
func (p Postgres) run(ctx context.Context, admin *pgx.Conn, all []statement, out io.Writer) error {
	conn, at := admin, ""
	for _, s := range all {
		said := s.said
		if said == "" {
			said = s.sql
		}
		fmt.Fprintf(out, "%-10s %s\n", s.database, said)
		if p.DryRun {
			continue
		}
		if s.database != at {
			if conn != admin {
				_ = conn.Close(ctx)
			}
			conn, at = admin, s.database
			if at != "" {
				inside, err := InDatabase(p.URL, at)
				if err != nil {
					return err
				}
				if conn, err = pgx.Connect(ctx, inside); err != nil {
					return fmt.Errorf("database %s, as the administrator: %w", at, err)
				}
			}
		}
		if _, err := conn.Exec(ctx, s.sql); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", said, err), closeUnless(ctx, conn, admin))
		}
	}
	return closeUnless(ctx, conn, admin)
}

func closeUnless(ctx context.Context, conn, admin *pgx.Conn) error {
	if conn == admin {
		return nil
	}
	return conn.Close(ctx)
}

// plan says what makes the database of a service, its roles, and who may do what.
func (p Postgres) plan(ctx context.Context, admin *pgx.Conn, name string) ([]statement, error) {
	owner, app := name+"_owner", name+"_app"
	var all []statement
	for _, role := range []string{owner, app} {
		password, err := p.Password(role)
		if err != nil {
			return nil, err
		}
		verb := "CREATE"
		if exists, err := exists(ctx, admin, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)`, role); err != nil {
			return nil, err
		} else if exists {
			verb = "ALTER"
		}
		// Utility statements take no parameters; the password is letters and digits.
		begin := verb + " ROLE " + role + " LOGIN NOCREATEDB NOCREATEROLE PASSWORD '"
		all = append(all, statement{sql: begin + password + "'", said: begin + "...'"})
	}
	there, err := exists(ctx, admin, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name)
	if err != nil {
		return nil, err
	}
	if !there {
		// An administrator who is no superuser must be a member to give away.
		all = append(all, statement{sql: "GRANT " + owner + " TO CURRENT_USER"}, statement{sql: "CREATE DATABASE " + name + " OWNER " + owner})
	}
	for _, sql := range []string{
		// Nobody but its own service reads a database.
		"REVOKE ALL ON DATABASE " + name + " FROM PUBLIC",
		"GRANT CONNECT ON DATABASE " + name + " TO " + app,
		"REVOKE ALL ON SCHEMA public FROM PUBLIC",
		"GRANT ALL ON SCHEMA public TO " + owner,
		"GRANT USAGE ON SCHEMA public TO " + app,
		// A forgotten transaction or a lock held too long must not stop the others.
		"ALTER ROLE " + app + " SET idle_in_transaction_session_timeout = '2s'",
		"ALTER ROLE " + app + " SET lock_timeout = '1s'",
		// It measures the age of all transactions, also the owner's. An administrator
		// who may not give that away leaves it the age of its own.
		"DO $$ BEGIN GRANT pg_read_all_stats TO " + app + "; EXCEPTION WHEN insufficient_privilege THEN NULL; END $$",
	} {
		all = append(all, statement{database: name, sql: sql})
	}
	return all, nil
}

func exists(ctx context.Context, conn *pgx.Conn, query, name string) (found bool, err error) {
	err = conn.QueryRow(ctx, query, name).Scan(&found)
	return found, err
}

// InDatabase replaces the database in a URL.
func InDatabase(raw, database string) (string, error) {
	parsed, err := url.Parse(raw)
	if err != nil {
		return "", err
	}
	parsed.Path = "/" + database
	return parsed.String(), nil
}
