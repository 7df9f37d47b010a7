package slo

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

// Severities say when a person comes: now, or in working hours.
const (
	page   = "page"
	ticket = "ticket"
)

// Cause is an alert on a cause, as alerts.yaml has it.
type Cause struct {
	Alert    string `yaml:"alert"`
	Severity string `yaml:"severity"`
	// Expr is PromQL. Its ranges, in brackets, are scaled as For and KeepFiring are;
	// its thresholds stay.
	Expr string `yaml:"expr"`
	For  string `yaml:"for"`
	// KeepFiring is for how long the alert stays when the expression has ceased to
	// hold, so that what flickers doesn't call a person again and again.
	KeepFiring string `yaml:"keepFiring"`
	// Dashboard is where to look first.
	Dashboard   string `yaml:"dashboard"`
	Summary     string `yaml:"summary"`
	Description string `yaml:"description"`
}

var (
	camel = regexp.MustCompile(`^([A-Z][a-z]+)+$`)
	// ranges are what an expression looks back.
	ranges = regexp.MustCompile(`\[[^\]]*\]`)
	simple = regexp.MustCompile(`^\[[0-9]+(s|m|h|d)\]$`)
	// classes are ranges of another kind: characters, in a regular expression of a
	// label.
	literals = regexp.MustCompile(`"[^"]*"`)
)

// LoadCauses reads alerts.yaml. Its error names alerts and fields, all of them.
func LoadCauses(files fs.FS) ([]Cause, error) {
	const name = "alerts.yaml"
	var doc struct {
		Alerts []Cause `yaml:"alerts"`
	}
	if err := decode(files, name, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var errs []error
	for i, c := range doc.Alerts {
		if err := c.validate(); err != nil {
			errs = append(errs, fmt.Errorf("%s: alerts[%d] %s: %w", name, i, c.Alert, err))
		}
		if slices.ContainsFunc(doc.Alerts[:i], func(o Cause) bool { return o.Alert == c.Alert }) {
			errs = append(errs, fmt.Errorf("%s: alerts[%d] %s is there twice", name, i, c.Alert))
		}
	}
	return doc.Alerts, errors.Join(errs...)
}

func (c *Cause) validate() error {
	var errs []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	require(camel.MatchString(c.Alert), "alert is %q, want a name like OutboxIsOld", c.Alert)
	require(c.Severity == page || c.Severity == ticket, "severity is %q, want %s or %s", c.Severity, page, ticket)
	for _, field := range []struct{ name, value string }{
		{"expr", c.Expr}, {"dashboard", c.Dashboard}, {"summary", c.Summary}, {"description", c.Description},
	} {
		require(strings.TrimSpace(field.value) != "", "%s is missing", field.name)
	}
	for _, field := range []struct{ name, value string }{{"for", c.For}, {"keepFiring", c.KeepFiring}} {
		_, err := parseDuration(field.value)
		require(err == nil, "%s is %q, want a duration above zero such as 2m: what lasts a moment calls nobody", field.name, field.value)
	}
	for _, r := range ranges.FindAllString(literals.ReplaceAllString(c.Expr, `""`), -1) {
		require(simple.MatchString(r), "expr: %s is no range that can be scaled, such as [5m]", r)
	}
	return errors.Join(errs...)
}

// rule renders the alert.
func (c *Cause) rule(s scale) Rule {
	return Rule{
		Alert: c.Alert, Expr: s.expr(c.Expr), For: s.wait(c.For), KeepFiringFor: s.wait(c.KeepFiring),
		Labels: map[string]string{"severity": c.Severity},
		Annotations: map[string]string{
			"summary": c.Summary, "description": c.Description,
			"dashboard_url": dashboards + c.Dashboard, "runbook_url": runbooks + c.Alert + ".md",
		},
	}
}
