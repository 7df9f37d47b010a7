package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/ballast/deploy/observability/registry"
)

// TestNothingIsStale: the files in the tree are what the generators make.
func TestNothingIsStale(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := check(&out, "../.."); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// TestStaleFilesAreNamed: also an instrument file whose owner has lost its metrics.
func TestStaleFilesAreNamed(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write := func(path, content string) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if err := generate(&out, root); err == nil || !strings.Contains(err.Error(), "owner: "+root) {
		t.Fatalf("want an owner whose directory is missing: %v", err)
	}
	r, err := registry.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range r.Metrics {
		if !e.External {
			write(filepath.Join(e.Owner, "any.go"), "package any\n")
		}
	}
	write("pkg/former/metrics_gen.go", "package former\n")
	if err := generate(&out, root); err != nil {
		t.Fatal(err)
	}
	if err := check(&out, root); err != nil {
		t.Errorf("generated just now: %v\n%s", err, out.String())
	}
	if _, err := os.Stat(filepath.Join(root, "pkg/former/metrics_gen.go")); err == nil {
		t.Error("the file of an owner without metrics is still there")
	}
	write("docs/metrics.md", "Edited.\n")
	write("pkg/former/metrics_gen.go", "package former\n")
	out.Reset()
	err = check(&out, root)
	if err == nil || !strings.Contains(err.Error(), "make generate") {
		t.Errorf("want what to do: %v", err)
	}
	for _, path := range []string{"docs/metrics.md", "pkg/former/metrics_gen.go"} {
		if !strings.Contains(out.String(), path) {
			t.Errorf("%s is not named:\n%s", path, out.String())
		}
	}
}
