package testkit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/servers"
)

// Postgres returns a pool on a database of the test's own, with the migrations
// applied. It is cloned from a template, so it costs little, and is dropped when
// the test ends. POSTGRES_URL names a server to use, with a role that may create
// databases; otherwise one is started that does not survive a crash (fsync off).
func Postgres(t testing.TB, migrations fs.FS) *pgxpool.Pool {
	t.Helper()
	pool, err := pg.Open(t.Context(), pg.Config{URL: PostgresURL(t, migrations), App: "test", MaxConns: 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// PostgresURL is Postgres for tests that open the database themselves, or hand
// it to another process.
func PostgresURL(t testing.TB, migrations fs.FS) string {
	t.Helper()
	s, err := server()
	if err != nil {
		t.Fatal(err)
	}
	template, err := s.template(t.Context(), migrations)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.ReplaceAll(Unique(t, "db"), ".", "_")
	if err := s.admin(t.Context(), "create database "+name+" template "+template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.admin(context.WithoutCancel(t.Context()), "drop database "+name+" with (force)"); err != nil {
			t.Error(err)
		}
	})
	return s.database(name)
}

// postgresServer is the server that all tests of a binary share.
type postgresServer struct {
	url       string
	mu        sync.Mutex
	templates map[string]bool
}

func server() (*postgresServer, error) {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.server != nil || shared.failure != nil {
		return shared.server, shared.failure
	}
	about := "POSTGRES_URL"
	u := os.Getenv("POSTGRES_URL")
	if u == "" {
		if u, about, shared.failure = startPostgres(); shared.failure != nil {
			return nil, shared.failure
		}
	}
	fmt.Fprintf(os.Stderr, "testkit: postgres: %s\n", about)
	shared.server = &postgresServer{url: u, templates: map[string]bool{}}
	return shared.server, nil
}

func startPostgres() (u, about string, err error) {
	if !shared.main {
		return "", "", fmt.Errorf("testkit: this package needs func TestMain(m *testing.M) { testkit.Main(m) }")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute) // A download may be part of it.
	defer cancel()
	dir, err := os.MkdirTemp("", "ballast-test-postgres-")
	if err != nil {
		return "", "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // The server may run as another user.
		return "", "", err
	}
	logPath := filepath.Join(dir, "log")
	log, err := os.Create(logPath)
	if err != nil {
		return "", "", err
	}
	p, err := servers.Postgres{Dir: filepath.Join(dir, "data"), Settings: map[string]string{
		"fsync": "off", "full_page_writes": "off", "shared_buffers": "32MB", "max_connections": "200",
		"max_wal_senders": "0", "max_wal_size": "256MB",
	}}.Process(ctx)
	if err != nil {
		return "", "", err
	}
	running, err := servers.Start(ctx, p, log)
	if err != nil {
		said, _ := os.ReadFile(logPath) // Only to say more about the error.
		return "", "", fmt.Errorf("%w\n%s", err, said)
	}
	shared.stop = append(shared.stop, func(ctx context.Context) {
		if err := running.Stop(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "testkit:", err)
		}
		_ = log.Close()
		_ = os.RemoveAll(dir)
	})
	return p.URL, p.About, nil
}

// database returns the URL of another database of the server.
func (s *postgresServer) database(name string) string {
	u, err := url.Parse(s.url)
	if err != nil {
		return s.url // pgx will say what is wrong with it.
	}
	u.Path = "/" + name
	return u.String()
}

func (s *postgresServer) admin(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return fmt.Errorf("testkit: postgres at %s: %w", s.database("postgres"), err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("testkit: %s: %w", sql, err)
	}
	return nil
}

// template returns the name of a database with the migrations applied, making
// it when this server has none. Its name is the hash of their text.
func (s *postgresServer) template(ctx context.Context, migrations fs.FS) (string, error) {
	name, err := templateName(migrations)
	if err != nil {
		return "", fmt.Errorf("testkit: read migrations: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.templates[name] {
		return name, nil
	}
	conn, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return "", fmt.Errorf("testkit: postgres: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	// Other test binaries may share this server and want the same template.
	if _, err := conn.Exec(ctx, `select pg_advisory_lock(hashtextextended($1, 0))`, name); err != nil {
		return "", fmt.Errorf("testkit: lock template: %w", err)
	}
	var finished bool
	const marked = `select exists (select from pg_database where datname = $1 and datistemplate)`
	if err := conn.QueryRow(ctx, marked, name).Scan(&finished); err != nil {
		return "", fmt.Errorf("testkit: look for template: %w", err)
	}
	if !finished {
		if err := s.makeTemplate(ctx, conn, name, migrations); err != nil {
			return "", err
		}
	}
	s.templates[name] = true
	return name, nil
}

func (s *postgresServer) makeTemplate(ctx context.Context, conn *pgx.Conn, name string, migrations fs.FS) error {
	for _, sql := range []string{"drop database if exists " + name, "create database " + name} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("testkit: %s: %w", sql, err)
		}
	}
	if migrations != nil {
		if err := pg.Migrate(ctx, s.database(name), migrations, slog.New(slog.DiscardHandler)); err != nil {
			return err
		}
	}
	if _, err := conn.Exec(ctx, "alter database "+name+" is_template true"); err != nil {
		return fmt.Errorf("testkit: mark template: %w", err)
	}
	return nil
}

func templateName(migrations fs.FS) (string, error) {
	h := sha256.New()
	if migrations != nil {
		files, err := fs.Glob(migrations, "*.sql") // Sorted.
		if err != nil {
			return "", err
		}
		for _, f := range files {
			text, err := fs.ReadFile(migrations, f)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(h, "%s %d\n%s", f, len(text), text)
		}
	}
	return "template_" + hex.EncodeToString(h.Sum(nil)[:8]), nil
}
