package servers

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// postgresDir is a directory that the server's user can enter: a test's own is
// for its user alone.
func postgresDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; strings.HasPrefix(d, os.TempDir()) && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "data")
}

func TestPostgresKeepsItsDataWhenStoppedAndWhenKilled(t *testing.T) {
	t.Parallel()
	p, err := Postgres{Dir: postgresDir(t), Password: "secret"}.Process(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	exec := func(sql string) {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), p.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(t.Context()) }()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// The last one fails if the crash has taken the row away.
	for i, step := range []string{"create table t (n int)", "insert into t values (1)", "insert into t select 1 / count(*) from t"} {
		running, err := Start(ctx, p, t.Output())
		if err != nil {
			t.Fatal(err)
		}
		exec(step)
		if i == 1 {
			running.Kill()
			continue
		}
		if err := running.Stop(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := pgx.Connect(t.Context(), strings.Replace(p.URL, "secret", "wrong", 1)); err == nil {
		t.Error("a stopped server answers")
	}
}

func TestServerThatCannotStartSaysSo(t *testing.T) {
	t.Parallel()
	p, err := Postgres{Dir: postgresDir(t), Settings: map[string]string{"fsync": "off", "no_such_setting": "1"}}.Process(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := Start(ctx, p, t.Output()); err == nil || !strings.Contains(err.Error(), "start postgres: it ended before it was ready") {
		t.Errorf("error %v; want that it ended", err)
	}
}

func TestRedisStartsAndStops(t *testing.T) {
	t.Parallel()
	p, err := Redis{Dir: t.TempDir(), MaxMemory: "8mb", Policy: "allkeys-lru"}.Process()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	running, err := Start(ctx, p, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	if err := running.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := p.Ready(ctx); err == nil {
		t.Error("a stopped server answers")
	}
}
