package registry

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var (
	// named is stricter than OpenTelemetry, which also takes capitals, - and /.
	named = regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$`)
	// annotation is a unit that says what is counted.
	annotation = regexp.MustCompile(`^\{[a-z]+\}$`)
	// identifies are words for what there is one of for each order, customer or message: as an
	// attribute it would be a series for each.
	identifies = regexp.MustCompile(`(^|[._])(id|key|sku|order|customer|trace|offset)$`)
)

func (e *Entry) validate() error {
	var errs []error
	refuse := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !named.MatchString(e.Name) {
		refuse("the name is not lower-case words with dots between")
	}
	if e.Owner == "" {
		refuse("owner is missing")
	}
	if !slices.Contains([]string{Counter, UpDownCounter, Gauge, Histogram}, e.Instrument) {
		refuse("instrument %q is none of counter, updowncounter, gauge, histogram", e.Instrument)
	}
	if e.Type != "int" && e.Type != "float" {
		refuse("type %q is neither int nor float", e.Type)
	}
	if !e.External && !slices.Contains([]string{"1", "s", "By"}, e.Unit) && !annotation.MatchString(e.Unit) {
		refuse("unit %q is none of s, By, 1, {something}", e.Unit)
	}
	if !strings.HasSuffix(e.About, ".") {
		refuse("about is missing, or no sentence")
	}
	if e.PrometheusName != "" && !e.External {
		refuse("prometheus is for external metrics; that of ours is derived")
	}
	errs = append(errs, e.validateBuckets(), e.validateAttributes())
	return errors.Join(errs...)
}

func (e *Entry) validateBuckets() error {
	switch {
	case e.Instrument != Histogram && (len(e.Buckets) > 0):
		return fmt.Errorf("a %s has no buckets", e.Instrument)
	case e.Instrument != Histogram:
		return nil
	case e.Observable:
		return errors.New("there is no observable histogram")
	case len(e.Buckets) == 0 && !e.External:
		return errors.New("buckets are missing")
	}
	for i := 1; i < len(e.Buckets); i++ {
		if e.Buckets[i] <= e.Buckets[i-1] {
			return fmt.Errorf("bucket %v is not above %v", e.Buckets[i], e.Buckets[i-1])
		}
	}
	return nil
}

func (e *Entry) validateAttributes() error {
	var errs []error
	for _, name := range e.attributes() {
		a := e.Attributes[name]
		switch {
		case a.About == "":
			errs = append(errs, fmt.Errorf("attribute %s is not explained", name))
		case !e.External && identifies.MatchString(name):
			errs = append(errs, fmt.Errorf("attribute %s is an identity: it has no bound", name))
		case len(a.Values) == 0 && e.Limit == 0:
			errs = append(errs, fmt.Errorf("attribute %s has no bound: list its values, or give the metric a limit of series", name))
		}
	}
	return errors.Join(errs...)
}
