package slo_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestEveryAlertIsTested: promtool sees each of them fire, with all that a person
// reads, and be silent.
func TestEveryAlertIsTested(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../prometheus/tests/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests: %v", err)
	}
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Tests []struct {
				Alerts []struct {
					Name     string      `yaml:"alertname"`
					Expected []yaml.Node `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			} `yaml:"tests"`
		}
		if err := yaml.Unmarshal(content, &doc); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, test := range doc.Tests {
			for _, a := range test.Alerts {
				if len(a.Expected) > 0 {
					fires[a.Name] = true
				} else {
					silent[a.Name] = true
				}
			}
		}
	}
	for _, g := range rules(t, 1) {
		for _, r := range g.Rules {
			if r.Alert != "" && !fires[r.Alert] {
				t.Errorf("no test makes %s fire", r.Alert)
			}
			if r.Alert != "" && !silent[r.Alert] {
				t.Errorf("no test wants %s to be silent", r.Alert)
			}
			delete(fires, r.Alert)
			delete(silent, r.Alert)
		}
	}
	if len(fires)+len(silent) > 0 {
		t.Errorf("tests of alerts that don't exist: %v %v", slices.Collect(maps.Keys(fires)), slices.Collect(maps.Keys(silent)))
	}
}
