package drill

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// scrapeTimeout is by judgement: the admin listener works while everything
// behind it hangs.
const scrapeTimeout = 5 * time.Second

// Metrics are the metrics of one process at one moment, by name.
type Metrics map[string]*dto.MetricFamily

// Scrape reads the metrics of a child, such as orders or payments-2.
func (s *Stack) Scrape(ctx context.Context, child string) (Metrics, error) {
	state, err := s.State()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, scrapeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, state.Endpoints.Admin[child]+"/metrics", http.NoBody)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("metrics of %s: %w", child, err)
	}
	defer res.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(res.Body)
	if err != nil {
		return nil, fmt.Errorf("metrics of %s: %w", child, err)
	}
	return families, nil
}

// Sum adds up the values of a metric whose labels contain all of the given
// ("name=value"): counters, gauges, and the counts of histograms.
func (m Metrics) Sum(name string, labels ...string) float64 {
	sum := 0.0
	for _, metric := range m[name].GetMetric() {
		if !labelled(metric, labels) {
			continue
		}
		sum += metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + metric.GetUntyped().GetValue() +
			float64(metric.GetHistogram().GetSampleCount())
	}
	return sum
}

// Total adds up what the histograms of a name have measured, in its unit.
func (m Metrics) Total(name string, labels ...string) float64 {
	total := 0.0
	for _, metric := range m[name].GetMetric() {
		if labelled(metric, labels) {
			total += metric.GetHistogram().GetSampleSum()
		}
	}
	return total
}

// Histogram is what several histograms with the same buckets have counted.
type Histogram struct {
	Count uint64
	// Sum is in the unit of the metric.
	Sum float64
	// UpTo has how many are at most the bound of each bucket.
	UpTo map[float64]uint64
}

// Histogram adds up the histograms of a name.
func (m Metrics) Histogram(name string, labels ...string) Histogram {
	h := Histogram{UpTo: map[float64]uint64{}}
	for _, metric := range m[name].GetMetric() {
		if labelled(metric, labels) {
			h.Count += metric.GetHistogram().GetSampleCount()
			h.Sum += metric.GetHistogram().GetSampleSum()
			for _, b := range metric.GetHistogram().GetBucket() {
				h.UpTo[b.GetUpperBound()] += b.GetCumulativeCount()
			}
		}
	}
	return h
}

// Add returns both together.
func (h Histogram) Add(o Histogram) Histogram {
	sum := Histogram{Count: h.Count + o.Count, Sum: h.Sum + o.Sum, UpTo: maps.Clone(h.UpTo)}
	for bound, n := range o.UpTo {
		sum.UpTo[bound] += n
	}
	return sum
}

// Values returns a label's values, each with the sum of the metrics that have it.
func (m Metrics) Values(name, label string) map[string]float64 {
	sums := map[string]float64{}
	for _, metric := range m[name].GetMetric() {
		for _, pair := range metric.GetLabel() {
			if pair.GetName() == label {
				sums[pair.GetValue()] = m.Sum(name, label+"="+pair.GetValue())
			}
		}
	}
	return sums
}

func labelled(metric *dto.Metric, labels []string) bool {
	for _, want := range labels {
		name, value, _ := strings.Cut(want, "=")
		found := false
		for _, pair := range metric.GetLabel() {
			found = found || pair.GetName() == name && pair.GetValue() == value
		}
		if !found {
			return false
		}
	}
	return true
}
