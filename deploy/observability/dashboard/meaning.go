package dashboard

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"

	"example.com/ballast/deploy/observability"
	"example.com/ballast/deploy/observability/promql"
	"example.com/ballast/deploy/observability/registry"
	"example.com/ballast/deploy/observability/slo"
)

// Meanings are what is known of every series, from the registry and from the rules;
// and what is promised.
type Meanings struct {
	metrics *registry.Registry
	rules   []slo.Rule
	slos    []slo.SLO
}

// NewMeanings takes the registry, and reads the objectives and the rules.
func NewMeanings(metrics *registry.Registry) (*Meanings, error) {
	groups, err := slo.Rules(1)
	if err != nil {
		return nil, err
	}
	m := &Meanings{metrics: metrics}
	for _, g := range groups {
		m.rules = append(m.rules, g.Rules...)
	}
	m.slos, err = slo.LoadSLOs(observability.Files)
	return m, err
}

// target is the share that an objective promises, and 1 of one that isn't there.
func (m *Meanings) target(name string) float64 {
	for _, s := range m.slos {
		if s.Metadata.Name == name {
			return s.Spec.Objectives[0].Target
		}
	}
	return 1
}

// explain returns the unit of an expression, as Grafana calls it, and a sentence on
// each of its metrics. Its error is that of a name, a label or a value that nobody writes.
func (m *Meanings) explain(expr string) (unit string, sentences []string, err error) {
	filled := Fill(expr)
	var recorded []string
	for _, r := range m.rules {
		recorded = append(recorded, r.Record)
	}
	if err := m.metrics.CheckExpression(filled, recorded...); err != nil {
		return "", nil, err
	}
	selectors, err := promql.Selectors(filled)
	if err != nil {
		return "", nil, err
	}
	for _, s := range selectors {
		sentence := fmt.Sprintf("`%s` is recorded by the rules of the objectives.", s.Name)
		if entry, ok := m.metrics.Prometheus(s.Name); ok {
			sentence = fmt.Sprintf("`%s`: %s", entry.Name, entry.About)
		}
		if !slices.Contains(sentences, sentence) {
			sentences = append(sentences, sentence)
		}
	}
	tree, err := parser.ParseExpr(filled)
	if err != nil {
		return "", nil, err
	}
	return m.quantity(tree).grafana(), sentences, nil
}

// Fill puts values in the place of a dashboard's variables, those of "all".
func Fill(expr string) string {
	return strings.NewReplacer("$__rate_interval", "1m", "$"+service, ".+", "$"+replica, ".+").Replace(expr)
}
