// Package registry reads the list of every metric, deploy/observability/metrics.yaml.
// Code, docs, dashboards and rules get their names from there and from nowhere else:
// the instruments are made by generated constructors, and an expression that uses
// another name or label is refused by CheckExpression.
package registry

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/otlptranslator"
	"go.yaml.in/yaml/v3"

	"example.com/ballast/deploy/observability"
)

// Kinds of instruments.
const (
	Counter       = "counter"
	UpDownCounter = "updowncounter"
	Gauge         = "gauge"
	Histogram     = "histogram"
)

// Entry is one metric.
type Entry struct {
	// Name as OpenTelemetry has it, such as stream.broker.wait.
	Name string `yaml:"name"`
	// Owner is the directory whose code makes the instrument. Of an external metric
	// it is who makes it, such as connectrpc.com/otelconnect.
	Owner string `yaml:"owner"`
	// Instrument is one of the kinds.
	Instrument string `yaml:"instrument"`
	// Observable instruments are read at each collection.
	Observable bool `yaml:"observable"`
	// Type is int or float; by default float in seconds and shares, else int.
	Type string `yaml:"type"`
	// Unit is UCUM's: s, By, 1, or an annotation such as {record}.
	Unit string `yaml:"unit"`
	// About is a sentence or two.
	About string `yaml:"about"`
	// Attributes by name.
	Attributes map[string]Attribute `yaml:"attributes"`
	// Buckets are the upper bounds of a histogram's.
	Buckets []float64 `yaml:"buckets"`
	// External metrics are made by a library or another process.
	External bool `yaml:"external"`
	// PrometheusName is where it isn't derived from Name; read it with Prometheus.
	PrometheusName string `yaml:"prometheus"`
	// Limit is how many series a process may have, where an attribute has values
	// that nobody can list.
	Limit int `yaml:"limit"`
}

// Attribute of a metric, a label in Prometheus.
type Attribute struct {
	About string `yaml:"about"`
	// Values are all that there are; none means that they can't be listed.
	Values []string `yaml:"values"`
}

// UnmarshalYAML takes a sentence alone as well.
func (a *Attribute) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		return node.Decode(&a.About)
	}
	type plain Attribute
	return node.Decode((*plain)(a))
}

// Registry is all of them, in the order of the file.
type Registry struct {
	Metrics []Entry

	prometheus map[string]int // series name -> index
}

// Load reads the list that is in the binary. An error names every entry that is wrong.
func Load() (*Registry, error) {
	data, err := observability.Files.ReadFile("metrics.yaml")
	if err != nil {
		return nil, err
	}
	return Parse(data)
}

// Parse reads a list.
func Parse(data []byte) (*Registry, error) {
	var file struct {
		Shared  yaml.Node `yaml:"shared"` // anchors, for the entries to use
		Metrics []Entry   `yaml:"metrics"`
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil {
		return nil, fmt.Errorf("metrics.yaml: %w", err)
	}
	r := &Registry{Metrics: file.Metrics, prometheus: map[string]int{}}
	var errs []error
	names := map[string]bool{}
	for i := range r.Metrics {
		e := &r.Metrics[i]
		e.Type = cmp.Or(e.Type, defaultType(e.Unit))
		if names[e.Name] {
			errs = append(errs, fmt.Errorf("metrics.yaml: %s: is there twice", e.Name))
		}
		names[e.Name] = true
		if err := e.validate(); err != nil {
			errs = append(errs, fmt.Errorf("metrics.yaml: %s: %w", e.Name, err))
			continue
		}
		for _, series := range e.Series() {
			if other, ok := r.prometheus[series]; ok {
				errs = append(errs, fmt.Errorf("metrics.yaml: %s: Prometheus calls it %s, as it does %s", e.Name, series, r.Metrics[other].Name))
			}
			r.prometheus[series] = i
		}
	}
	return r, errors.Join(errs...)
}

func defaultType(unit string) string {
	if unit == "s" || unit == "1" {
		return "float"
	}
	return "int"
}

// Prometheus finds the metric that a series belongs to, such as
// stream_broker_wait_seconds_bucket.
func (r *Registry) Prometheus(series string) (Entry, bool) {
	i, ok := r.prometheus[series]
	if !ok {
		return Entry{}, false
	}
	return r.Metrics[i], true
}

// Find finds a metric by its name.
func (r *Registry) Find(name string) (Entry, bool) {
	i := slices.IndexFunc(r.Metrics, func(e Entry) bool { return e.Name == name })
	if i < 0 {
		return Entry{}, false
	}
	return r.Metrics[i], true
}

// Prometheus is the name of the metric there, without a histogram's suffixes. It is
// derived by the code that the exporter uses.
func (e *Entry) Prometheus() string {
	if e.PrometheusName != "" {
		return e.PrometheusName
	}
	namer := otlptranslator.NewMetricNamer("", otlptranslator.UnderscoreEscapingWithSuffixes)
	name, err := namer.Build(otlptranslator.Metric{Name: e.Name, Unit: e.Unit, Type: map[string]otlptranslator.MetricType{
		Counter: otlptranslator.MetricTypeMonotonicCounter, UpDownCounter: otlptranslator.MetricTypeNonMonotonicCounter,
		Gauge: otlptranslator.MetricTypeGauge, Histogram: otlptranslator.MetricTypeHistogram,
	}[e.Instrument]})
	if err != nil {
		return "" // Only of a name that validate has refused.
	}
	return name
}

// Series are the names that Prometheus stores it under.
func (e *Entry) Series() []string {
	name := e.Prometheus()
	if e.Instrument == Histogram {
		return []string{name + "_bucket", name + "_sum", name + "_count"}
	}
	return []string{name}
}

// Labels are its attributes as Prometheus has them, sorted.
func (e *Entry) Labels() []string {
	labels := make([]string, 0, len(e.Attributes))
	for name := range e.Attributes {
		labels = append(labels, label(name))
	}
	slices.Sort(labels)
	return labels
}

// Label finds an attribute by its label in Prometheus.
func (e *Entry) Label(name string) (Attribute, bool) {
	for attribute, a := range e.Attributes {
		if label(attribute) == name {
			return a, true
		}
	}
	return Attribute{}, false
}

func label(attribute string) string {
	name, err := (&otlptranslator.LabelNamer{}).Build(attribute)
	if err != nil {
		return attribute // Only of a name that validate has refused.
	}
	return name
}

// Bound is how many series of it a process may have, the buckets not counted.
func (e *Entry) Bound() int {
	if e.Limit > 0 {
		return e.Limit
	}
	bound := 1
	for _, a := range e.Attributes {
		bound *= len(a.Values)
	}
	return bound
}

// String is for a sentence: "counter {call} by outcome".
func (e *Entry) String() string {
	s := e.Instrument
	if e.Unit != "" {
		s += " in " + e.Unit
	}
	if len(e.Attributes) > 0 {
		s += " by " + strings.Join(e.attributes(), ", ")
	}
	return s
}

func (e *Entry) attributes() []string {
	names := make([]string, 0, len(e.Attributes))
	for name := range e.Attributes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
