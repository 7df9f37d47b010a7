package slo

import (
	"bytes"
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"

	"example.com/ballast/deploy/observability"
)

// Where the links of alerts lead.
const (
	runbooks   = "https://example.com/ballast/blob/main/docs/runbooks/"
	dashboards = "http://127.0.0.1:8112/d/"
)

// Path is where the rendered rules are, from the root of the source tree.
const Path = "deploy/observability/prometheus/rules.yml"

// Group and Rule are what Prometheus reads, from 3.0 on: labels of groups are new there.
type Group struct {
	Name     string            `yaml:"name"`
	Interval string            `yaml:"interval"`
	Labels   map[string]string `yaml:"labels,omitempty"` // of all its rules
	Rules    []Rule            `yaml:"rules"`
}

// Rule records a series, or alerts.
type Rule struct {
	Record        string            `yaml:"record,omitempty"`
	Alert         string            `yaml:"alert,omitempty"`
	Expr          string            `yaml:"expr"`
	For           string            `yaml:"for,omitempty"`
	KeepFiringFor string            `yaml:"keep_firing_for,omitempty"`
	Labels        map[string]string `yaml:"labels,omitempty"`
	Annotations   map[string]string `yaml:"annotations,omitempty"`
}

// causes are looked at as often as this.
const causeInterval = "15s"

// Rules returns all rules with their windows, waits and intervals multiplied by
// factor: 1 is for production, 1/60 makes an hour of alerting a minute. Thresholds
// stay: a message must have waited for 30 s however fast an alert notices.
func Rules(factor float64) ([]Group, error) {
	if factor <= 0 || factor > 1 {
		return nil, fmt.Errorf("the scale of rules is %g, want more than 0 and up to 1", factor)
	}
	slos, err1 := LoadSLOs(observability.Files)
	causes, err2 := LoadCauses(observability.Files)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	by := scale(factor)
	var groups []Group
	for i := range slos {
		groups = append(groups, slos[i].group(by))
	}
	g := Group{Name: "causes", Interval: by.wait(causeInterval)}
	for i := range causes {
		g.Rules = append(g.Rules, causes[i].rule(by))
	}
	return append(groups, g), nil
}

// Render returns Rules as a file of Prometheus.
func Render(factor float64) ([]byte, error) {
	groups, err := Rules(factor)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString("# Generated from slo/*.yaml and alerts.yaml by `go run ./cmd/observe generate`. Do not edit.\n")
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	err = e.Encode(struct {
		Groups []Group `yaml:"groups"`
	}{groups})
	return b.Bytes(), errors.Join(err, e.Close())
}
