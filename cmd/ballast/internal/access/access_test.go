package access

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRightsAreDocumented: the page has what everybody may do.
func TestRightsAreDocumented(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := List(&b); err != nil {
		t.Fatal(err)
	}
	inDocument(t, "rights", b.String())
}

// TestSecretsAreMadeOnce: a second run changes nothing, nothing of what is in the files
// is printed, and only their owner reads them.
func TestSecretsAreMadeOnce(t *testing.T) {
	t.Parallel()
	s := Secrets{Dir: filepath.Join(t.TempDir(), "secrets"), Postgres: "postgres:5432", Redis: "redis-%s:6379", Mode: 0o600}
	made := func() (contents map[string]string, said string) {
		t.Helper()
		var out strings.Builder
		if err := s.Make(&out); err != nil {
			t.Fatal(err)
		}
		contents = map[string]string{}
		err := filepath.WalkDir(s.Dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err == nil && info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %o", path, info.Mode().Perm())
			}
			content, readErr := os.ReadFile(path)
			name, _ := filepath.Rel(s.Dir, path)
			contents[name] = strings.TrimSpace(string(content))
			return readErr
		})
		if err != nil {
			t.Fatal(err)
		}
		return contents, out.String()
	}
	first, said := made()
	for name, content := range first {
		if !strings.Contains(said, name) || strings.Contains(said, content) {
			t.Errorf("%s: the output must tell of it and nothing of its content:\n%s", name, said)
		}
	}
	second, said := made()
	if d := cmp.Diff(first, second); d != "" || strings.Contains(said, "made") || strings.Contains(said, "renewed") {
		t.Errorf("the second run changed something: %s\n%s", d, said)
	}
	if want := "redis://orders:" + first["redis/orders"] + "@redis-orders:6379/0"; first["redis/orders.url"] != want {
		t.Errorf("redis/orders.url is not of its password and host")
	}
	// A host that moves is in the URLs; the passwords stay.
	s.Postgres = "elsewhere:5432"
	third, _ := made()
	if first["postgres/orders_app"] != third["postgres/orders_app"] || !strings.Contains(third["postgres/orders_app.url"], "@elsewhere:5432/orders?") {
		t.Error("another host must be in the URL, with the same password")
	}
	if info, err := os.Stat(s.Dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory is open to others: %v, %v", info.Mode(), err)
	}
}

// TestNoRightIsForAll: only the beginning of transactional ids is no whole name.
func TestNoRightIsForAll(t *testing.T) {
	t.Parallel()
	for _, r := range Rights(Services()) {
		if r.Name == "*" || r.Name == "" || r.User == "*" || r.Prefixed && r.Resource != txn {
			t.Errorf("too much: %+v", r)
		}
	}
}
