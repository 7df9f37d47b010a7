package dashboard

import (
	"fmt"
	"strings"
)

// interval is Grafana's: long enough for a rate at the width of the screen.
const interval = "[$__rate_interval]"

// rate is a counter's, a second, added up by labels.
func rate(selector string, by ...string) string {
	return fmt.Sprintf("sum by (%s) (rate(%s%s))", strings.Join(by, ", "), selector, interval)
}

// quantile of a histogram by labels. It is given as its name and its matchers.
func quantile(q float64, histogram, matchers string, by ...string) string {
	return fmt.Sprintf("histogram_quantile(%g, %s)", q, rate(selected(histogram+"_bucket", matchers), append([]string{"le"}, by...)...))
}

// quantiles are the median and the 99th percentile, called after labels.
func quantiles(histogram, matchers, legend string, by ...string) []query {
	return []query{
		{quantile(.5, histogram, matchers, by...), strings.TrimSpace(legend + " p50")},
		{quantile(.99, histogram, matchers, by...), strings.TrimSpace(legend + " p99")},
	}
}

// mean of a histogram by labels.
func mean(histogram, matchers string, by ...string) string {
	return rate(selected(histogram+"_sum", matchers), by...) + " / " + rate(selected(histogram+"_count", matchers), by...)
}

// buckets of a histogram, for a heat map.
func buckets(histogram, matchers string) string {
	return fmt.Sprintf("sum by (le) (increase(%s%s))", selected(histogram+"_bucket", matchers), interval)
}

func selected(name, matchers string) string {
	if matchers == "" {
		return name
	}
	return name + "{" + matchers + "}"
}
