package access

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/servers"
)

// roles are a server of a Ballast, with the schemas of its services.
type roles struct {
	t       *testing.T
	admin   string
	secrets string
}

// startRoles starts a server of its own, which asks for passwords: roles belong to a
// server, not to a database.
func startRoles(t *testing.T) *roles {
	t.Helper()
	r := &roles{t: t, secrets: t.TempDir()}
	if err := (Secrets{Dir: r.secrets, Postgres: "p:1", Redis: "r:1", Mode: 0o600}).Make(io.Discard); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "ballast-test-roles-")
	if err == nil {
		err = os.Chmod(dir, 0o755) // The server may run as another user.
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	process, err := servers.Postgres{
		Dir: filepath.Join(dir, "data"), Password: r.password(servers.Superuser), Settings: map[string]string{"fsync": "off"},
	}.Process(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	running, err := servers.Start(ctx, process, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(running.Kill)
	r.admin = process.URL
	for range 2 { // The second time everything is there.
		if err := (Postgres{URL: r.admin, Alone: true, Password: Passwords(r.secrets + "/postgres")}).Apply(t.Context(), io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range Names() {
		// As it was made once, when the right to every table that was to come went with the
		// database: migrations must take that back.
		once := "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO " + name + "_app"
		if err := r.sql(name+"_owner", name, once)(); err != nil {
			t.Fatal(err)
		}
		migrations := os.DirFS("../../../../services/" + name + "/internal/postgres/migrations")
		if err := pg.Migrate(t.Context(), r.url(name+"_owner", name, ""), migrations, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func (r *roles) password(role string) string {
	r.t.Helper()
	p, err := Passwords(r.secrets + "/postgres")(role)
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

// url is that of a role in a database, with its own password or with another.
func (r *roles) url(role, database, password string) string {
	u, err := url.Parse(r.admin)
	if err != nil {
		r.t.Fatal(err)
	}
	if password == "" {
		password = r.password(role)
	}
	u.User, u.Path = url.UserPassword(role, password), "/"+database
	return u.String()
}

func (r *roles) sql(role, database, sql string) func() error {
	return func() error {
		conn, err := pgx.Connect(r.t.Context(), r.url(role, database, ""))
		if err != nil {
			return err
		}
		defer conn.Close(r.t.Context())
		_, err = conn.Exec(r.t.Context(), sql)
		return err
	}
}

// TestPostgresDenies: a service reads and writes its own rows and changes no schema,
// no history and nothing of another's; its owner reaches no other database either.
func TestPostgresDenies(t *testing.T) {
	t.Parallel()
	r := startRoles(t)
	const denied = "SQLSTATE 42501"
	attempts := []attempt{{"orders_app", "log in with a wrong password", func() error {
		_, err := pgx.Connect(t.Context(), r.url("orders_app", "orders", "wrong"))
		return err
	}, "SQLSTATE 28P01"}}
	in := func(database, role, what, sql, refused string) {
		who := fmt.Sprintf("%s in %s", role, database)
		attempts = append(attempts, attempt{who, what, r.sql(role, database, sql), refused})
	}
	in("orders", "orders_app", "read orders", "SELECT FROM orders", "")
	in("orders", "orders_app", "change orders", "UPDATE orders SET version = version WHERE false", "")
	in("orders", "orders_app", "add to what has happened", "INSERT INTO order_events SELECT * FROM order_events WHERE false", "")
	in("orders", "orders_app", "change what has happened", "UPDATE order_events SET version = 1", denied)
	in("orders", "orders_app", "delete what has happened", "DELETE FROM order_events", denied)
	in("orders", "orders_app", "empty a table", "TRUNCATE orders", denied)
	in("inventory", "inventory_app", "book a movement of stock", "INSERT INTO movements SELECT * FROM movements WHERE false", "")
	in("inventory", "inventory_app", "change a movement", "UPDATE movements SET moved_at = now()", denied)
	in("inventory", "inventory_app", "delete a receipt", "DELETE FROM receipts", denied)
	in("payments", "payments_app", "post to the ledger", "INSERT INTO ledger_entries OVERRIDING SYSTEM VALUE SELECT * FROM ledger_entries WHERE false", "")
	in("payments", "payments_app", "keep the inbox", "SELECT inbox_maintain('24 hours')", "")
	in("payments", "payments_app", "change a posting", "UPDATE ledger_entries SET amount = -amount", denied)
	in("payments", "payments_app", "delete a posting", "DELETE FROM ledger_entries", denied)
	in("payments", "payments_app", "delete a payment", "DELETE FROM payments", denied)
	in("payments", "payments_app", "disable the ledger's trigger", "ALTER TABLE ledger_entries DISABLE TRIGGER ledger_append_only", "SQLSTATE 42501")
	for _, name := range Names() {
		app, owner := name+"_app", name+"_owner"
		in(name, app, "create a table", "CREATE TABLE mine (n int)", denied)
		in(name, app, "add a column", "ALTER TABLE outbox ADD COLUMN mine int", denied)
		in(name, app, "drop a table", "DROP TABLE outbox", denied)
		in(name, app, "create a temporary table", "CREATE TEMPORARY TABLE mine (n int)", denied)
		in(name, app, "become its owner", "SET ROLE "+owner, denied)
		in(name, app, "create a role", "CREATE ROLE mine", denied)
		in(name, app, "read the server's files", "SELECT pg_read_file('postgresql.conf')", denied)
		in(name, app, "run a program on the server", "COPY (SELECT 1) TO PROGRAM 'true'", denied)
		for _, other := range append(Names(), "postgres", "template1") {
			if other != name {
				in(other, app, "connect", "SELECT 1", denied)
				in(other, owner, "connect", "SELECT 1", denied)
			}
		}
		in(name, app, "delete a message that could not be published", "DELETE FROM outbox_dead", denied)
		in(name, app, "claim that a migration has run", "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, true)", denied)
		in(name, owner, "change its schema", "CREATE TABLE later (n int)", "")
		in(name, app, "read a table that was made later and not granted", "SELECT FROM later", denied)
		in(name, app, "write to it", "INSERT INTO later VALUES (1)", denied)
		in(name, owner, "take it back", "DROP TABLE later", "")
		in(name, owner, "create a database", "CREATE DATABASE mine", denied)
	}
	judge(t, "postgres", attempts)
	rows := [][]string{{"role", "may", "tables"}}
	for _, name := range Names() {
		rows = append(rows, r.granted(name)...)
	}
	var b strings.Builder
	if err := markdown(&b, rows); err != nil {
		t.Fatal(err)
	}
	inDocument(t, "tables", b.String())
}

// granted is what the migrations of a service have left to its role, also by way of
// everybody.
func (r *roles) granted(name string) (rows [][]string) {
	r.t.Helper()
	const query = `
WITH granted AS (
    SELECT relname, string_agg(DISTINCT privilege_type, ', ' ORDER BY privilege_type) AS may
    FROM pg_class, aclexplode(relacl)
    WHERE relnamespace = 'public'::regnamespace AND grantee IN (0, $1::regrole)
    GROUP BY relname
)
SELECT may, string_agg('` + "`' || relname || '`" + `', ', ' ORDER BY relname) FROM granted GROUP BY may ORDER BY may`
	app := name + "_app"
	conn, err := pgx.Connect(r.t.Context(), r.url(app, name, ""))
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close(r.t.Context())
	found, err := conn.Query(r.t.Context(), query, app)
	if err != nil {
		r.t.Fatal(err)
	}
	var may, tables string
	if _, err := pgx.ForEachRow(found, []any{&may, &tables}, func() error {
		rows = append(rows, []string{app, may, tables})
		return nil
	}); err != nil {
		r.t.Fatal(err)
	}
	return rows
}
