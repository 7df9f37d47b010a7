package slo

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// period is that of every budget: four weeks hold as many weekends wherever they begin.
const period = "28d"

// spans are those of the recorded ratios. Of counters the longest are summed up from
// the first: to read the counters of a month takes too much, and to wait five minutes
// longer is nothing to an alert on days.
var spans = []string{shortest, "30m", "1h", "2h", "6h", "1d", "3d", period}

const (
	shortest     = "5m"
	shortestSpan = 5 * time.Minute
	summedSpans  = "1d 3d " + period
)

// interval is how often the objectives of events are evaluated; one of timeslices
// is evaluated at the end of each slice.
const interval = "30s"

// Names of the recorded rules, followed by their span.
const (
	events = "slo:events:rate"       // a second
	failed = "slo:errors:rate"       // a second
	ratio  = "slo:errors:ratio_rate" // failed of events
	slice  = "slo:slice:bad"         // 0 or 1, without a span
)

// series are those of a recorded rule of this SLO.
func (s *SLO) series(record string) string { return record + `{slo="` + s.Metadata.Name + `"}` }

func (s *SLO) sliced() bool { return s.Spec.BudgetingMethod == timeslices }

// group renders the rules of one objective.
func (s *SLO) group(by scale) Group {
	g := Group{
		Name: "slo-" + s.Metadata.Name, Interval: by.wait(interval),
		Labels: map[string]string{"slo": s.Metadata.Name, "service": s.Spec.Service},
	}
	record := func(name, expr string) { g.Rules = append(g.Rules, Rule{Record: name, Expr: expr}) }
	objective := s.Spec.Objectives[0]
	record("slo:objective:ratio", "vector("+number(objective.Target)+")")
	if s.sliced() {
		g.Interval = by.wait(objective.TimeSliceWindow)
		record(slice, s.bad(by))
	}
	for _, span := range spans {
		all, bad := s.rates(by, span)
		record(events+span, all)
		record(failed+span, bad)
		// No events are no ratio: 0/0 would be NaN on every dashboard.
		record(ratio+span, s.series(failed+span)+" / ("+s.series(events+span)+" > 0)")
	}
	record("slo:error_budget:remaining_ratio", "1 - "+s.series(ratio+period)+" / "+number(objective.budget()))
	g.Rules = append(g.Rules, s.alert(by, page), s.alert(by, ticket))
	return g
}

// bad is 1 at the end of a slice that was not good, or of which nothing is known.
func (s *SLO) bad(by scale) string {
	m := s.Spec.Indicator.Spec.RatioMetric
	return fmt.Sprintf("1 - ((%s) / (%s) >= bool %s or vector(0))", by.expr(m.Good.query()), by.expr(m.Total.query()),
		number(*s.Spec.Objectives[0].TimeSliceTarget))
}

// rates are the expressions of what happened within a span, and of what failed.
func (s *SLO) rates(by scale, span string) (all, bad string) {
	in := "[" + by.span(span) + "]"
	m := s.Spec.Indicator.Spec.RatioMetric
	switch {
	case s.sliced():
		// All slices of the span count, also those before Prometheus came: half an hour with
		// letters is not all of the budget because nothing older is known.
		return "vector(1 / " + seconds(by.wait(s.Spec.Objectives[0].TimeSliceWindow)) + ")",
			"sum_over_time(" + s.series(slice) + in + ") / " + seconds(by.span(span))
	case strings.Contains(summedSpans, span):
		// Not the average: of a day of which an hour is known that would be 24 times as much.
		over := in + ") * " + seconds(by.wait(interval)) + " / " + seconds(by.span(span))
		return "sum_over_time(" + s.series(events+shortest) + over, "sum_over_time(" + s.series(failed+shortest) + over
	}
	// Where all have failed since the beginning, nothing good was ever counted. What is
	// counted good later than it was counted at all may exceed it for a moment.
	return "sum(rate(" + m.Total.query() + in + "))",
		"clamp_min(" + s.series(events+span) + " - on () (sum(rate(" + m.Good.query() + in + ")) or vector(0)), 0)"
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
