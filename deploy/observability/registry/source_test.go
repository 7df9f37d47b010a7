package registry_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"example.com/ballast/deploy/observability/registry"
)

// TestEveryMetricIsMade: the code of its owner calls the constructor. That no other
// code makes an instrument is the linter's to see.
func TestEveryMetricIsMade(t *testing.T) {
	t.Parallel()
	r, err := registry.Load()
	if err != nil {
		t.Fatal(err)
	}
	code := map[string][]byte{}
	for _, e := range r.Metrics {
		if _, ok := code[e.Owner]; !ok && !e.External {
			code[e.Owner] = source(t, filepath.Join("../../..", e.Owner))
		}
		if constructor := "new" + e.Go() + e.Kind() + "("; !e.External && !bytes.Contains(code[e.Owner], []byte(constructor)) {
			t.Errorf("%s: no code in %s calls %s...)", e.Name, e.Owner, constructor)
		}
	}
}

// source is the code of a directory that people wrote, without tests.
func source(t *testing.T, dir string) []byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var code []byte
	for _, path := range paths {
		if filepath.Base(path) != registry.GoFile && !strings.HasSuffix(path, "_test.go") {
			code = append(code, read(t, path)...)
		}
	}
	return code
}
