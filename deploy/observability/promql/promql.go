// Package promql reads expressions with Prometheus' own parser: what a dashboard or
// a rule asks for is then known before a Prometheus is asked.
package promql

import (
	"fmt"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// Selector is one series selector of an expression, such as up{job="orders"}.
type Selector struct {
	// Name of the metric.
	Name string
	// Matchers are its labels', without that of the name.
	Matchers []*labels.Matcher
	// Expr is the selector alone, without range and offset: an expression that
	// returns its series.
	Expr string
}

// Selectors returns those of an expression, in the order in which they are
// written. The expression has no variables any more; see dashboard.Fill.
func Selectors(expr string) ([]Selector, error) {
	tree, err := parser.ParseExpr(expr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", expr, err)
	}
	var found []Selector
	parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
		v, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		s := Selector{Name: v.Name}
		alone := parser.VectorSelector{Name: v.Name, LabelMatchers: v.LabelMatchers}
		s.Expr = alone.String()
		for _, m := range v.LabelMatchers {
			switch {
			case m.Name != model.MetricNameLabel:
				s.Matchers = append(s.Matchers, m)
			case m.Type == labels.MatchEqual:
				s.Name = m.Value
			}
		}
		found = append(found, s)
		return nil
	})
	return found, nil
}
