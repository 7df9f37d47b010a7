package stack

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/deploy/observability/slo"
)

// observed is a stack with observability before its start, and with tools that do
// no more than say their version.
func observed(t *testing.T, versions map[string]string) (*upper, *buffer) {
	t.Helper()
	dir, out := t.TempDir(), &buffer{}
	if err := os.Mkdir(filepath.Join(dir, ".tools"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, version := range versions {
		script := fmt.Sprintf("#!/bin/sh\necho %s, version %s\n", name, version)
		if err := os.WriteFile(filepath.Join(dir, ".tools", name), []byte(script), 0o755); err != nil { //nolint:gosec // a program
			t.Fatal(err)
		}
	}
	home := Home(filepath.Join(dir, "home"))
	if err := home.prepare(); err != nil {
		t.Fatal(err)
	}
	return &upper{
		Options: Options{Home: home, Self: filepath.Join(dir, "bin", "ballast"), Replicas: 2, Observability: true, AlertScale: 1. / 60},
		layout:  Layout{9000}, console: NewConsole(out),
	}, out
}

// childNames are sorted.
func childNames(children []Child) []string {
	names := map[string]bool{}
	for _, c := range children {
		names[c.Name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// settings are the variables of a child's command that begin with a prefix, sorted.
func settings(t *testing.T, children []Child, name, prefix string) []string {
	t.Helper()
	for _, c := range children {
		if c.Name != name {
			continue
		}
		cmd, err := c.Command(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, kv := range cmd.Env {
			if strings.HasPrefix(kv, prefix) {
				found = append(found, kv)
			}
		}
		return slices.Sorted(slices.Values(found))
	}
	t.Fatalf("no child %s", name)
	return nil
}

// TestObserversSeeEveryProcess is not parallel: the PATH is the process's, and what
// happens to be in it must not count.
func TestObserversSeeEveryProcess(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	u, _ := observed(t, map[string]string{"prometheus": "3.8.1", "otelcol": "0.155.0", "node_exporter": "1.9.0"})
	observers, err := u.observers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"collector", "node-exporter", "prometheus"}, childNames(observers)); diff != "" {
		t.Error(diff)
	}
	config, err := os.ReadFile(u.Home.Path("prometheus", "prometheus.yml"))
	if err != nil {
		t.Fatal(err)
	}
	want := `
  - job_name: orders
    static_configs:
      - targets: ["127.0.0.1:9020", "127.0.0.1:9023"]
  - job_name: inventory
    static_configs:
      - targets: ["127.0.0.1:9021", "127.0.0.1:9024"]
  - job_name: payments
    static_configs:
      - targets: ["127.0.0.1:9022", "127.0.0.1:9025"]
  - job_name: prometheus
    static_configs:
      - targets: ["127.0.0.1:9031"]
  - job_name: collector
    static_configs:
      - targets: ["127.0.0.1:9033"]
  - job_name: node
    static_configs:
      - targets: ["127.0.0.1:9034"]
`
	if _, jobs, _ := strings.Cut(string(config), "scrape_configs:"); jobs != want {
		t.Error(cmp.Diff(want, jobs))
	}
	rules, err := os.ReadFile(u.Home.Path("prometheus", "rules.yml"))
	if want, _ := slo.Render(u.AlertScale); err != nil || string(rules) != string(want) {
		t.Errorf("the rules are not those of --alert-scale %g: %v", u.AlertScale, err)
	}
	children, err := u.services()
	if err != nil {
		t.Fatal(err)
	}
	// Traces and nothing else leave a service by OTLP.
	wantEnv := []string{
		"OTEL_BSP_SCHEDULE_DELAY=500", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:9032", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
		"OTEL_LOGS_EXPORTER=none", "OTEL_METRICS_EXPORTER=none", "OTEL_TRACES_EXPORTER=otlp",
		"OTEL_TRACES_SAMPLER=parentbased_always_on",
	}
	if diff := cmp.Diff(wantEnv, settings(t, children, "payments-2", "OTEL_")); diff != "" {
		t.Error(diff)
	}
}

// TestAStackIsWholeWithoutObservers: what is missing is named, with where to get
// it, and services keep their traces in files.
func TestAStackIsWholeWithoutObservers(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	u, out := observed(t, map[string]string{"prometheus": "2.42.0"})
	observers, err := u.observers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(observers) > 0 || u.endpoints.Prometheus != "" || u.endpoints.Collector != "" {
		t.Errorf("started %v, says %+v", childNames(observers), u.endpoints)
	}
	for _, hint := range []string{"version 2.42.0", "scripts/observability.sh prometheus", "scripts/observability.sh otelcol", "node_exporter"} {
		if !out.contains(hint) {
			t.Errorf("nothing says %q", hint)
		}
	}
	children, err := u.services()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"TRACES_FILE=" + u.Home.Path("traces", "orders-1.jsonl")}
	if diff := cmp.Diff(want, settings(t, children, "orders-1", "TRACES_FILE")); diff != "" {
		t.Error(diff)
	}
	if got := settings(t, children, "orders-1", "OTEL_EXPORTER_OTLP"); len(got) > 0 {
		t.Errorf("services are to send traces to nobody: %v", got)
	}
}
