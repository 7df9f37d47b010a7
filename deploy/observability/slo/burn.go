package slo

import (
	"fmt"
	"strings"
)

// burn is a rate at which a budget burns, and the windows over which it must do so
// for a call of this severity. At the first a fiftieth of the budget goes within the
// hour, at the last it goes as fast as it comes.
type burn struct {
	factor      float64
	long, short string
	severity    string
}

var burns = []burn{
	{14.4, "1h", "5m", page},
	{6, "6h", "30m", page},
	{3, "1d", "2h", ticket},
	{1, "3d", "6h", ticket},
}

// speed is what differs between the alerts of the two severities. The windows have
// smoothed what comes and goes, so a second look is enough to be sure; keep bridges
// a ratio at its threshold.
type speed struct{ suffix, wait, keep, gone string }

var speeds = map[string]speed{
	page:   {"Fast", "1m", "2m", "within five days"},
	ticket: {"Slow", "15m", "15m", "before its " + period + " are over"},
}

// alert renders the alert of one severity: any of its burn rates is enough.
func (s *SLO) alert(by scale, severity string) Rule {
	v := speeds[severity]
	return Rule{
		Alert: s.Alert() + "Burns" + v.suffix, Expr: s.burning(by, severity), For: by.wait(v.wait), KeepFiringFor: by.wait(v.keep),
		Labels: map[string]string{"severity": severity},
		Annotations: map[string]string{
			"summary": s.Metadata.DisplayName + ": {{ $value | humanizePercentage }} failed, the error budget burns " + strings.ToLower(v.suffix),
			"description": s.Metadata.Annotations["feels"] + " At this rate the error budget is gone " + v.gone +
				". Start with what else fires, then with the dashboard.",
			"dashboard_url": dashboards + s.Metadata.Annotations["dashboard"], "runbook_url": runbooks + s.Alert() + "Burns.md",
		},
	}
}

// burning is true while a budget burns fast enough for this severity, by no fewer
// failures than the least. Its value is the share that failed over the long window.
func (s *SLO) burning(by scale, severity string) string {
	least, _ := s.leastFailures() // It was validated.
	budget := number(s.Spec.Objectives[0].budget())
	var rates []string
	for _, b := range burns {
		if b.severity != severity {
			continue
		}
		threshold := " > " + number(b.factor) + " * " + budget
		rates = append(rates, strings.Join([]string{
			s.series(ratio+b.long) + threshold,
			s.series(ratio+b.short) + threshold,
			fmt.Sprintf("%s * %s >= %d", s.series(failed+b.long), seconds(by.span(b.long)), least),
		}, "\nand "))
	}
	return strings.Join(rates, "\nor\n")
}
