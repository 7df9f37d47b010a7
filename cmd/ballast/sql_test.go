package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"example.com/ballast/cmd/ballast/internal/stack"
	"example.com/ballast/pkg/testkit"
)

// TestSQLChangesNothingUnlessTold: who looks for a cause at night must not make
// another by a slip.
func TestSQLChangesNothingUnlessTold(t *testing.T) {
	t.Parallel()
	schema := fstest.MapFS{"00001_entries.sql": {Data: []byte("-- +goose Up\ncreate table entries (n int, note text);\ninsert into entries values (1, E'two\\nlines');\n")}}
	home := stack.Home(t.TempDir())
	if err := os.MkdirAll(home.Path("secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(home.Path("secrets", "payments_app.url"), []byte(testkit.PostgresURL(t, schema)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (string, error) {
		cmd := sqlCommand(func() stack.Home { return home })
		var out bytes.Buffer
		cmd.SetArgs(args)
		cmd.SetOut(&out)
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	if _, err := run("payments", "delete from entries"); err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("deleting without --write: %v", err)
	}
	if out, err := run("payments", "select * from entries; select count(*) from entries"); err != nil || out != "N  NOTE\n1  two lines\nCOUNT\n1\n" {
		t.Errorf("select prints %q, error %v", out, err)
	}
	if _, err := run("payments", "insert into entries values (2, ''); select 1/0", "--write"); err == nil {
		t.Error("a division by zero is no error")
	}
	if out, err := run("payments", "delete from entries", "--write"); err != nil || out != "DELETE 1\n" {
		t.Errorf("deleting prints %q, error %v: several statements are one transaction", out, err)
	}
	if _, err := run("shipping", "select 1"); err == nil || !strings.Contains(err.Error(), "shipping") {
		t.Errorf("a service that there is not: %v", err)
	}
}
