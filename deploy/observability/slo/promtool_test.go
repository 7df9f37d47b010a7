//go:build observability

package slo_test

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestPromtool: Prometheus takes the rules, and they do what their tests say.
func TestPromtool(t *testing.T) {
	t.Parallel()
	tests, err := filepath.Glob("../prometheus/tests/*.yml")
	if err != nil || len(tests) == 0 {
		t.Fatalf("no tests: %v", err)
	}
	calls := map[string][]string{"rules": {"check", "rules", "--lint=all", "--lint-fatal", "../prometheus/rules.yml"}}
	for _, test := range tests {
		calls[filepath.Base(test)] = []string{"test", "rules", test}
	}
	for name, args := range calls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput()
			if err != nil {
				t.Errorf("promtool %v: %v\n%s", args, err, out)
			}
		})
	}
}
