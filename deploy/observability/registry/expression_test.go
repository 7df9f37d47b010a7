package registry_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"example.com/ballast/deploy/observability/registry"
)

func TestCheckExpression(t *testing.T) {
	t.Parallel()
	r, err := registry.Load()
	if err != nil {
		t.Fatal(err)
	}
	for expr, want := range map[string]string{
		`sum by (group, job) (rate(stream_broker_wait_seconds_count{group="orders"}[5m]))`:    "",
		`histogram_quantile(0.99, sum by (le) (rate(stream_broker_wait_seconds_bucket[5m])))`: "",
		`sum by (outcome) (rate(shed_calls_total{outcome=~"sh.*"}[5m]))`:                      "",
		`slo:errors:ratio_rate5m{anything="goes"} > 0.1`:                                      "",
		`label_replace(up, "service", "$1", "job", "(.*)") * on (service) group_left up`:      "",
		`sum by (slo) (ALERTS{alertstate="firing"})`:                                          "",
		`stream_broker_wait_seconds`:                                                          `called "stream_broker_wait_seconds"`,
		`rate(stream_broker_waits_seconds_count[5m])`:                                         `called "stream_broker_waits_seconds_count"`,
		`{__name__="stream_lags"}`:                                                            `called "stream_lags"`,
		`{job="orders"}`:                                                                      `called ""`,
		`slo:errors:ratio_rate6m > 0.1`:                                                       `called "slo:errors:ratio_rate6m"`,
		`stream_lag{groups="orders"}`:                                                         "stream.lag has no label groups",
		`shed_calls_total{outcome="refused"}`:                                                 "no value of outcome is refused",
		`sum by (groups) (stream_lag)`:                                                        "no metric of it has the label groups",
		`stream_lag / on (groups) stream_lag`:                                                 "no metric of it has the label groups",
		`sum(rate(stream_lag))`:                                                               "expected type range vector",
	} {
		err := r.CheckExpression(expr, "slo:errors:ratio_rate5m")
		if want == "" && err != nil {
			t.Error(err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: want %q: %v", expr, want, err)
		}
	}
}

// TestOnlyRegisteredNames: dashboards, rules and runbooks ask for nothing that
// nobody writes.
func TestOnlyRegisteredNames(t *testing.T) {
	t.Parallel()
	for _, err := range unknown(t, "../../..") {
		t.Error(err)
	}
}

// TestUnknownNamesAreSeen: in each kind of file.
func TestUnknownNamesAreSeen(t *testing.T) {
	t.Parallel()
	errs := unknown(t, "testdata")
	for _, want := range []string{
		`rules.yml: Recorded: stream_lagg: no metric of the registry is called "stream_lagg"`,
		`rules.yml: Alerts: `, `board.json: `, `Runbook.md: stream_lag_in_a_block`, `Runbook.md: stream_lag_in_a_command{`,
	} {
		if !slices.ContainsFunc(errs, func(err error) bool { return strings.Contains(err.Error(), want) }) {
			t.Errorf("no error contains %q", want)
		}
	}
	if len(errs) != 5 {
		t.Errorf("%d errors: %v", len(errs), errs)
	}
}

// unknown returns what is wrong with the expressions of the files below root.
func unknown(t *testing.T, root string) []error {
	t.Helper()
	r, err := registry.Load()
	if err != nil {
		t.Fatal(err)
	}
	var errs []error
	expressions, recorded := rules(t, root)
	for _, dir := range []string{"deploy/observability/grafana", "docs/runbooks"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			switch filepath.Ext(path) {
			case ".json":
				var board any
				if err := json.Unmarshal(read(t, path), &board); err != nil {
					return fmt.Errorf("%s: %w", path, err)
				}
				for _, expr := range panels(board) {
					expressions = append(expressions, expression{filepath.Base(path), expr})
				}
			case ".md":
				for _, expr := range quoted(string(read(t, path))) {
					expressions = append(expressions, expression{filepath.Base(path), expr})
				}
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	for _, e := range expressions {
		if err := r.CheckExpression(e.expr, recorded...); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", e.where, err))
		}
	}
	return errs
}

type expression struct{ where, expr string }

// rules returns the expressions of Prometheus' rules, and the names that they record.
func rules(t *testing.T, root string) (expressions []expression, recorded []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, "deploy/observability/prometheus/*.yml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		var file struct {
			Groups []struct {
				Rules []struct{ Record, Alert, Expr string }
			}
		}
		if err := yaml.Unmarshal(read(t, path), &file); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, g := range file.Groups {
			for _, rule := range g.Rules {
				expressions = append(expressions, expression{filepath.Base(path) + ": " + rule.Alert + rule.Record, rule.Expr})
				if rule.Record != "" {
					recorded = append(recorded, rule.Record)
				}
			}
		}
	}
	return expressions, recorded
}

// panels finds the expressions of a dashboard, at whatever depth, with something
// that matches all in the place of its variables.
func panels(node any) []string {
	var found []string
	switch n := node.(type) {
	case []any:
		for _, child := range n {
			found = append(found, panels(child)...)
		}
	case map[string]any:
		for key, child := range n {
			if expr, ok := child.(string); ok && key == "expr" {
				found = append(found, filled(expr))
				continue
			}
			found = append(found, panels(child)...)
		}
	}
	return found
}

var (
	// A command with '...' speaks of queries, it asks nothing.
	command  = regexp.MustCompile(`ballast query (?:'([^'.][^']*)'|"((?:[^"\\]|\\.)+)")`)
	block    = regexp.MustCompile("(?s)```promql\n(.*?)```")
	period   = regexp.MustCompile(`\$__(rate_interval|interval|range)`)
	equal    = regexp.MustCompile(`=~?"[^"]*\$[^"]*"`)
	anything = `=~".+"`
)

// quoted finds the expressions of a runbook: blocks of promql, each by itself, and
// what its commands ask for.
func quoted(page string) []string {
	var found []string
	for _, m := range block.FindAllStringSubmatch(page, -1) {
		for expr := range strings.SplitSeq(m[1], "\n\n") {
			found = append(found, filled(expr))
		}
	}
	for _, m := range command.FindAllStringSubmatch(page, -1) {
		found = append(found, filled(m[1]+strings.ReplaceAll(m[2], `\"`, `"`)))
	}
	return found
}

func filled(expr string) string {
	return equal.ReplaceAllString(period.ReplaceAllString(strings.TrimSpace(expr), "5m"), anything)
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
