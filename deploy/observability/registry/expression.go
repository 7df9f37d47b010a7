package registry

import (
	"errors"
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/promql/parser"

	"example.com/ballast/deploy/observability/promql"
)

// given are the labels that Prometheus itself gives.
var given = [...]string{"job", "instance", "le"}

// CheckExpression refuses an expression with a metric that nobody writes, a label
// that it doesn't have, or a value that the label never has: each would return
// nothing, for ever, and look like peace. Metrics that rules record are known by
// name alone.
func (r *Registry) CheckExpression(expr string, recorded ...string) error {
	selectors, err := promql.Selectors(expr)
	if err != nil {
		return err
	}
	var errs []error
	labels := slices.Clone(given[:])
	anything := false // Labels of what rules record are those of their expression.
	for _, s := range selectors {
		if slices.Contains(recorded, s.Name) {
			anything = true
			continue
		}
		errs = append(errs, r.CheckSelector(s))
		if e, ok := r.Prometheus(s.Name); ok {
			labels = append(labels, e.Labels()...)
			anything = anything || e.PrometheusName == "ALERTS"
		}
	}
	if !anything {
		errs = append(errs, checkGrouping(expr, labels))
	}
	return errors.Join(errs...)
}

// CheckSelector is CheckExpression for one selector.
func (r *Registry) CheckSelector(s promql.Selector) error {
	e, ok := r.Prometheus(s.Name)
	if !ok {
		return fmt.Errorf("%s: no metric of the registry is called %q, and no rule records it", s.Expr, s.Name)
	}
	for _, m := range s.Matchers {
		a, ok := e.Label(m.Name)
		if !ok && !slices.Contains(given[:], m.Name) {
			return fmt.Errorf("%s: %s has no label %s", s.Expr, e.Name, m.Name)
		}
		if len(a.Values) > 0 && !slices.ContainsFunc(a.Values, m.Matches) {
			return fmt.Errorf("%s: no value of %s is %s", s.Expr, m.Name, m.Value)
		}
	}
	return nil
}

// checkGrouping refuses a label in by, without, on or ignoring that no metric of
// the expression has, and that it doesn't make itself.
func checkGrouping(expr string, labels []string) error {
	tree, err := parser.ParseExpr(expr)
	if err != nil {
		return err
	}
	var grouping []string
	parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.AggregateExpr:
			grouping = append(grouping, n.Grouping...)
			if made, ok := n.Param.(*parser.StringLiteral); ok { // count_values
				labels = append(labels, made.Val)
			}
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				grouping = append(append(grouping, n.VectorMatching.MatchingLabels...), n.VectorMatching.Include...)
			}
		case *parser.Call:
			if n.Func.Name == "label_replace" || n.Func.Name == "label_join" {
				if made, ok := n.Args[1].(*parser.StringLiteral); ok {
					labels = append(labels, made.Val)
				}
			}
		}
		return nil
	})
	for _, label := range grouping {
		if !slices.Contains(labels, label) {
			return fmt.Errorf("%s: no metric of it has the label %s", expr, label)
		}
	}
	return nil
}
