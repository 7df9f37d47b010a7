package dashboard

import (
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/units"
	"github.com/prometheus/prometheus/promql/parser"

	"example.com/ballast/deploy/observability/registry"
)

// quantity is what an expression comes to: a unit of the registry, maybe a second.
type quantity struct {
	unit      string
	perSecond bool
}

// The units of what has none of the registry: a count of whatever, and a part of a whole.
const (
	count = "{number}"
	share = "1"
)

// grafana is how Grafana calls it.
func (q quantity) grafana() string {
	switch {
	case q.perSecond && q.unit == "s", q.unit == share:
		return units.PercentUnit // Seconds a second are a share of one processor, or of the time.
	case q.perSecond && q.unit == "By":
		return units.BytesPerSecondSI
	case q.perSecond && (q.unit == "{call}" || q.unit == "{request}"):
		return units.RequestsPerSecond
	case q.perSecond && (q.unit == "{message}" || q.unit == "{record}"):
		return units.MessagesPerSecond
	case q.perSecond:
		return units.CountsPerSecond
	case q.unit == "s":
		return units.Seconds
	case q.unit == "By":
		return units.BytesIEC
	}
	return units.Short
}

// quantity follows an expression down to its metrics.
func (m *Meanings) quantity(node parser.Expr) quantity {
	switch n := node.(type) {
	case *parser.ParenExpr:
		return m.quantity(n.Expr)
	case *parser.UnaryExpr:
		return m.quantity(n.Expr)
	case *parser.StepInvariantExpr:
		return m.quantity(n.Expr)
	case *parser.SubqueryExpr:
		return m.quantity(n.Expr)
	case *parser.MatrixSelector:
		return m.quantity(n.VectorSelector)
	case *parser.AggregateExpr:
		if n.Op == parser.COUNT || n.Op == parser.COUNT_VALUES {
			return quantity{unit: count}
		}
		return m.quantity(n.Expr)
	case *parser.VectorSelector:
		return m.measured(n.Name)
	case *parser.Call:
		return m.called(n)
	case *parser.BinaryExpr:
		return m.combined(n)
	}
	return quantity{unit: count}
}

// measured is that of a series.
func (m *Meanings) measured(series string) quantity {
	if strings.Contains(series, ":") && strings.Contains(series, "ratio") {
		return quantity{unit: share} // Recorded: by convention the name says what it is.
	}
	entry, ok := m.metrics.Prometheus(series)
	switch {
	case !ok:
		return quantity{unit: count}
	case entry.Instrument == registry.Histogram && !strings.HasSuffix(series, "_sum"):
		return quantity{unit: count}
	case entry.Unit == "" && strings.Contains(series, "_seconds"): // Not all libraries say it.
		return quantity{unit: "s"}
	case entry.Unit == "" && strings.Contains(series, "_bytes"):
		return quantity{unit: "By"}
	case entry.Unit == "":
		return quantity{unit: count}
	}
	return quantity{unit: entry.Unit}
}

func (m *Meanings) called(n *parser.Call) quantity {
	switch n.Func.Name {
	case "rate", "irate", "deriv":
		q := m.quantity(n.Args[0])
		q.perSecond = true
		return q
	case "histogram_quantile":
		return m.ofHistogram(n.Args[1])
	case "time", "timestamp":
		return quantity{unit: "s"}
	case "absent":
		return quantity{unit: count}
	}
	return m.quantity(n.Args[0])
}

// ofHistogram is the unit of what a histogram's buckets have counted.
func (m *Meanings) ofHistogram(node parser.Expr) quantity {
	unit := count
	parser.Inspect(node, func(n parser.Node, _ []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok {
			if entry, ok := m.metrics.Prometheus(v.Name); ok {
				unit = entry.Unit
			}
		}
		return nil
	})
	return quantity{unit: unit}
}

func (m *Meanings) combined(n *parser.BinaryExpr) quantity {
	left, right := m.quantity(n.LHS), m.quantity(n.RHS)
	switch n.Op {
	case parser.DIV:
		if _, constant := n.RHS.(*parser.NumberLiteral); constant {
			return left
		}
		if left == right {
			return quantity{unit: share}
		}
		return quantity{unit: left.unit, perSecond: left.perSecond && !right.perSecond}
	case parser.MUL:
		if left.unit == count && !left.perSecond {
			return right
		}
		return left
	}
	if left.unit == count && !left.perSecond {
		return right
	}
	return left
}
