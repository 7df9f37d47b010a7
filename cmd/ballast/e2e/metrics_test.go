package e2e_test

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"example.com/ballast/deploy/observability/registry"
)

// rare are the metrics of what happens in no test of TestCheckout, or not each time.
// A counter has no series before it has counted.
var rare = []string{
	"stream.set.aside", "stream.paused", "stream.future", // Dependencies that fail, and clocks.
	"outbox.dead", "flags.errors",
	"lease.lost", "lease.stale", // Leaders that are stopped.
	"dependency.retries", "dependency.retries.denied", "dependency.rejected",
	"dependency.hedges", "cache.load.duration",
	"orders.compensation.resends",
	"orders.watchers.refused", "orders.watchers.missed", // Streams.
	"payments.queue.overflows", "payments.leases.claimed", "payments.results.superseded",
	"payments.reconcile.runs", "payments.reconcile.compared", "payments.reconcile.differences", "payments.reconcile.age",
	"payments.ledger.imbalance", "payments.ledger.entries", // Of who leads, which another replica may.
	"telemetry.redactions", // Nobody writes what must not be written.
}

// identity is what a label must not be: an id, or one of the many customers and
// products that TestCheckout has.
var identity = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-|LARGE-|LAST-|KEY-|buyer`)

// metricsAreRegistered holds what the services serve, after the traffic of many
// customers, against the registry: nothing else, no other labels, no ids, no more
// series than it says; and nothing in it that nobody serves.
func metricsAreRegistered(ctx context.Context, t *testing.T, p *platform) {
	list, err := registry.Load()
	if err != nil {
		t.Fatal(err)
	}
	served := map[string]bool{}
	for _, service := range []string{"orders", "inventory", "payments"} {
		series := 0
		for name, family := range p.scrape(ctx, t, service) {
			entry, ok := list.Prometheus(name)
			if family.GetType() == dto.MetricType_HISTOGRAM {
				entry, ok = list.Prometheus(name + "_bucket")
			}
			if !ok {
				t.Errorf("%s serves %s, which the registry does not know", service, name)
				continue
			}
			served[entry.Name] = true
			series += len(family.GetMetric())
			if n := len(family.GetMetric()); n > entry.Bound() {
				t.Errorf("%s serves %d series of %s, more than %d", service, n, entry.Name, entry.Bound())
			}
			for _, problem := range unknownLabels(entry, family) {
				t.Errorf("%s: %s: %s", service, entry.Name, problem)
			}
		}
		t.Logf("%s serves %d series", service, series)
	}
	for _, entry := range list.Metrics {
		if !entry.External && !served[entry.Name] && !slices.Contains(rare, entry.Name) {
			t.Errorf("nobody serves %s", entry.Name)
		}
	}
}

// scrape reads the metrics of a service, by name.
func (p *platform) scrape(ctx context.Context, t *testing.T, service string) map[string]*dto.MetricFamily {
	t.Helper()
	state, err := p.home.Running()
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, state.Endpoints.Admin[service]+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return families
}

func unknownLabels(entry registry.Entry, family *dto.MetricFamily) (problems []string) {
	for _, m := range family.GetMetric() {
		for _, label := range m.GetLabel() {
			attribute, ok := entry.Label(label.GetName())
			value := label.GetValue()
			switch {
			case !ok:
				problems = append(problems, "the registry does not know its label "+label.GetName())
			case len(attribute.Values) > 0 && !slices.Contains(attribute.Values, value):
				problems = append(problems, label.GetName()+" is "+value+", none of "+strings.Join(attribute.Values, ", "))
			case identity.MatchString(value):
				problems = append(problems, label.GetName()+" is the identity "+value)
			}
		}
	}
	return problems
}
