//go:build observability

package slo_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"example.com/ballast/deploy/observability/slo"
)

// TestPromtool: Prometheus takes the rules, and they do what their tests say.
func TestPromtool(t *testing.T) {
	t.Parallel()
	const rules = "../prometheus/rules.yml"
	promtool(t, "check", "rules", "--lint=all", "--lint-fatal", rules)
	tests, err := filepath.Glob("../prometheus/tests/*.yml")
	if err != nil || len(tests) == 0 {
		t.Fatalf("no tests: %v", err)
	}
	var all struct {
		Groups []slo.Group `yaml:"groups"`
	}
	if err := yaml.Unmarshal(read(t, rules), &all); err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		t.Run(filepath.Base(test), func(t *testing.T) {
			t.Parallel()
			text := read(t, test)
			// At each step promtool evaluates all rules of a file: those of other alerts would
			// take four fifths of the time.
			some := all
			some.Groups = slices.DeleteFunc(slices.Clone(all.Groups), func(g slo.Group) bool {
				return !slices.ContainsFunc(g.Rules, func(r slo.Rule) bool { return r.Alert != "" && strings.Contains(string(text), r.Alert) })
			})
			rendered, err := yaml.Marshal(some)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			copied := filepath.Join(dir, "tests", filepath.Base(test))
			if err := os.Mkdir(filepath.Dir(copied), 0o700); err != nil {
				t.Fatal(err)
			}
			for path, content := range map[string][]byte{filepath.Join(dir, "rules.yml"): rendered, copied: text} {
				if err := os.WriteFile(path, content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			promtool(t, "test", "rules", copied)
		})
	}
}

func promtool(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %v: %v\n%s", args, err, out)
	}
}
