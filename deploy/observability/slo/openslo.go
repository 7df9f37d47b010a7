package slo

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// SLO is what is read of an OpenSLO document (apiVersion openslo/v1, kind SLO): one
// objective over one ratio. A field that is not here is refused.
type SLO struct {
	APIVersion string   `yaml:"apiVersion"`
	Kind       string   `yaml:"kind"`
	Metadata   Metadata `yaml:"metadata"`
	Spec       Spec     `yaml:"spec"`
}

// Metadata of an SLO. Its annotations are ours: feels (a sentence: what the customer
// feels when it fails), dashboard (where to look first) and leastFailures.
type Metadata struct {
	Name        string            `yaml:"name"`
	DisplayName string            `yaml:"displayName"`
	Annotations map[string]string `yaml:"annotations"`
}

// Spec says what is promised.
type Spec struct {
	Description     string       `yaml:"description"`
	Service         string       `yaml:"service"`
	BudgetingMethod string       `yaml:"budgetingMethod"`
	TimeWindow      []TimeWindow `yaml:"timeWindow"`
	Indicator       struct {
		Metadata Metadata `yaml:"metadata"`
		Spec     struct {
			RatioMetric RatioMetric `yaml:"ratioMetric"`
		} `yaml:"spec"`
	} `yaml:"indicator"`
	Objectives []Objective `yaml:"objectives"`
}

// The budgeting methods: the budget is a share of the events, or of the time.
const (
	occurrences = "Occurrences"
	timeslices  = "Timeslices"
)

// TimeWindow is the period of the budget.
type TimeWindow struct {
	Duration  string `yaml:"duration"`
	IsRolling bool   `yaml:"isRolling"`
}

// RatioMetric divides good by total. With Counter both queries are selectors of
// counters, whose rates the rules take; without, expressions of which each slice of
// time takes one value.
type RatioMetric struct {
	Counter bool   `yaml:"counter"`
	Good    Metric `yaml:"good"`
	Total   Metric `yaml:"total"`
}

// Metric is a query.
type Metric struct {
	MetricSource struct {
		Type string `yaml:"type"`
		Spec struct {
			Query string `yaml:"query"`
		} `yaml:"spec"`
	} `yaml:"metricSource"`
}

func (m Metric) query() string { return m.MetricSource.Spec.Query }

// Objective is the share that must be good. With timeslices TimeSliceTarget is the
// ratio at which a slice is good, and TimeSliceWindow how long one is.
type Objective struct {
	DisplayName     string   `yaml:"displayName"`
	Target          float64  `yaml:"target"`
	TimeSliceTarget *float64 `yaml:"timeSliceTarget"`
	TimeSliceWindow string   `yaml:"timeSliceWindow"`
}

var (
	// kebab are the names that become the names of alerts.
	kebab = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	// selector is a metric with labels in braces, and nothing else.
	selector = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*(\{[^{}]*\})?$`)
)

// LoadSLOs reads slo/*.yaml. Its error names files and fields, all of them.
func LoadSLOs(files fs.FS) ([]SLO, error) {
	names, err := fs.Glob(files, "slo/*.yaml")
	if err != nil {
		return nil, err
	}
	var (
		slos []SLO
		errs []error
	)
	for _, name := range names {
		var s SLO
		err := decode(files, name, &s)
		if err == nil {
			err = s.validate(strings.TrimSuffix(path.Base(name), ".yaml"))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		slos = append(slos, s)
	}
	if len(slos) == 0 {
		return nil, errors.New("slo/*.yaml: no objectives")
	}
	return slos, errors.Join(errs...)
}

// decode reads one document, and refuses fields that nobody knows.
func decode(files fs.FS, name string, into any) error {
	content, err := fs.ReadFile(files, name)
	if err != nil {
		return err
	}
	d := yaml.NewDecoder(bytes.NewReader(content))
	d.KnownFields(true)
	return d.Decode(into)
}

func (s *SLO) validate(name string) error {
	var errs []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	require(s.APIVersion == "openslo/v1", "apiVersion is %q, want openslo/v1", s.APIVersion)
	require(s.Kind == "SLO", "kind is %q, want SLO", s.Kind)
	require(kebab.MatchString(s.Metadata.Name) && s.Metadata.Name == name, "metadata.name is %q, want the file's name, %q", s.Metadata.Name, name)
	require(s.Metadata.DisplayName != "", "metadata.displayName is missing")
	require(s.Metadata.Annotations["feels"] != "", "metadata.annotations.feels is missing: what the customer feels")
	require(s.Metadata.Annotations["dashboard"] != "", "metadata.annotations.dashboard is missing: where to look first")
	_, err := s.leastFailures()
	require(err == nil, "metadata.annotations.leastFailures is no number above zero")
	require(s.Spec.Description != "", "spec.description is missing: what counts, and why")
	require(s.Spec.Service != "", "spec.service is missing")
	require(slices.Equal(s.Spec.TimeWindow, []TimeWindow{{Duration: period, IsRolling: true}}), "spec.timeWindow must be one, rolling, of %s", period)
	require(slices.Contains([]string{occurrences, timeslices}, s.Spec.BudgetingMethod), "spec.budgetingMethod is %q, want %s or %s", s.Spec.BudgetingMethod, occurrences, timeslices)
	metric := s.Spec.Indicator.Spec.RatioMetric
	require(metric.Counter == (s.Spec.BudgetingMethod == occurrences), "spec.indicator.spec.ratioMetric.counter must be true with %s and false with %s", occurrences, timeslices)
	errs = append(errs, metric.validate("good", metric.Good), metric.validate("total", metric.Total))
	require(len(s.Spec.Objectives) == 1, "spec.objectives has %d, want one: write another file for another objective", len(s.Spec.Objectives))
	if len(s.Spec.Objectives) == 1 {
		errs = append(errs, s.Spec.Objectives[0].validate(s.Spec.BudgetingMethod == timeslices))
	}
	return errors.Join(errs...)
}

func (r RatioMetric) validate(name string, m Metric) error {
	field := "spec.indicator.spec.ratioMetric." + name + ".metricSource"
	switch {
	case m.MetricSource.Type != "Prometheus":
		return fmt.Errorf("%s.type is %q, want Prometheus", field, m.MetricSource.Type)
	case m.query() == "":
		return fmt.Errorf("%s.spec.query is missing", field)
	case r.Counter && !selector.MatchString(m.query()):
		return fmt.Errorf("%s.spec.query: a counter is a metric with its labels; the rules take its rate and sum", field)
	}
	return nil
}

func (o Objective) validate(sliced bool) error {
	var errs []error
	// At the highest burn rate something must be able to burn.
	if least := 1 - 1/burns[0].factor; o.Target <= least || o.Target >= 1 {
		errs = append(errs, fmt.Errorf("spec.objectives[0].target is %g, want more than %.3f and less than 1: %g times its budget must be possible", o.Target, least, burns[0].factor))
	}
	if !sliced {
		if o.TimeSliceTarget != nil || o.TimeSliceWindow != "" {
			errs = append(errs, fmt.Errorf("spec.objectives[0].timeSliceTarget and timeSliceWindow are for %s", timeslices))
		}
		return errors.Join(errs...)
	}
	if o.TimeSliceTarget == nil || *o.TimeSliceTarget <= 0 || *o.TimeSliceTarget > 1 {
		errs = append(errs, errors.New("spec.objectives[0].timeSliceTarget is missing or not above 0 and up to 1"))
	}
	if d, err := parseDuration(o.TimeSliceWindow); err != nil || d > shortestSpan/5 {
		errs = append(errs, fmt.Errorf("spec.objectives[0].timeSliceWindow is %q, want up to %s: the shortest window must hold some", o.TimeSliceWindow, format(shortestSpan/5)))
	}
	return errors.Join(errs...)
}

// Least failures that an alert may be about, tuned by judgement. Ten customers are
// a pattern where one is an accident; a slice is a whole minute for all of them, and
// three of them are longer than a restart.
const (
	leastEvents = 10
	leastSlices = 3
)

// leastFailures is the guard against alerts where little happens.
func (s *SLO) leastFailures() (int, error) {
	text, set := s.Metadata.Annotations["leastFailures"]
	switch {
	case !set && s.Spec.BudgetingMethod == timeslices:
		return leastSlices, nil
	case !set:
		return leastEvents, nil
	}
	n, err := strconv.Atoi(text)
	if err == nil && n < 1 {
		err = strconv.ErrRange
	}
	return n, err
}

// budget is the share that may fail. The target is written with a few decimals, and
// so is what is left of one.
func (o Objective) budget() float64 {
	b, _ := strconv.ParseFloat(strconv.FormatFloat(1-o.Target, 'f', 6, 64), 64) // It was just written.
	return b
}

// Alert is the name of the SLO's alerts without BurnsFast and BurnsSlow, and of
// their runbook: PlaceOrder for place-order.
func (s *SLO) Alert() string {
	var b strings.Builder
	for word := range strings.SplitSeq(s.Metadata.Name, "-") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}
