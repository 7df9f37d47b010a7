package slo_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"

	"example.com/ballast/deploy/observability"
	"example.com/ballast/deploy/observability/slo"
)

func rules(t *testing.T, factor float64) []slo.Group {
	t.Helper()
	groups, err := slo.Rules(factor)
	if err != nil {
		t.Fatal(err)
	}
	return groups
}

func find(t *testing.T, groups []slo.Group, alert string) slo.Rule {
	t.Helper()
	for _, g := range groups {
		for _, r := range g.Rules {
			if r.Alert == alert {
				return r
			}
		}
	}
	t.Fatalf("no alert %s", alert)
	return slo.Rule{}
}

// TestBurnRates: the alerts are those of the workbook's table, with the guard.
func TestBurnRates(t *testing.T) {
	t.Parallel()
	groups := rules(t, 1)
	fast, slow := find(t, groups, "PlaceOrderBurnsFast"), find(t, groups, "PlaceOrderBurnsSlow")
	for _, tc := range []struct {
		got  slo.Rule
		want []string
	}{
		{fast, []string{
			`slo:errors:ratio_rate1h{slo="place-order"} > 14.4 * 0.001`,
			`and slo:errors:ratio_rate5m{slo="place-order"} > 14.4 * 0.001`,
			`and slo:errors:rate1h{slo="place-order"} * 3600 >= 10`,
			`or`,
			`slo:errors:ratio_rate6h{slo="place-order"} > 6 * 0.001`,
			`and slo:errors:ratio_rate30m{slo="place-order"} > 6 * 0.001`,
			`and slo:errors:rate6h{slo="place-order"} * 21600 >= 10`,
		}},
		{slow, []string{
			`slo:errors:ratio_rate1d{slo="place-order"} > 3 * 0.001`,
			`and slo:errors:ratio_rate2h{slo="place-order"} > 3 * 0.001`,
			`and slo:errors:rate1d{slo="place-order"} * 86400 >= 10`,
			`or`,
			`slo:errors:ratio_rate3d{slo="place-order"} > 1 * 0.001`,
			`and slo:errors:ratio_rate6h{slo="place-order"} > 1 * 0.001`,
			`and slo:errors:rate3d{slo="place-order"} * 259200 >= 10`,
		}},
	} {
		if d := cmp.Diff(tc.want, strings.Split(tc.got.Expr, "\n")); d != "" {
			t.Errorf("%s: -want +got\n%s", tc.got.Alert, d)
		}
	}
	if fast.Labels["severity"] != "page" || slow.Labels["severity"] != "ticket" {
		t.Errorf("severities %v, %v", fast.Labels, slow.Labels)
	}
}

// TestAlertsAreComplete: each waits, and says who comes and what to do.
func TestAlertsAreComplete(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, g := range rules(t, 1) {
		for _, r := range g.Rules {
			if r.Alert == "" {
				continue
			}
			if seen[r.Alert] {
				t.Errorf("%s is there twice", r.Alert)
			}
			seen[r.Alert] = true
			for field, value := range map[string]string{
				"for": r.For, "keep_firing_for": r.KeepFiringFor, "severity": r.Labels["severity"],
				"summary": r.Annotations["summary"], "description": r.Annotations["description"],
				"dashboard_url": r.Annotations["dashboard_url"], "runbook_url": r.Annotations["runbook_url"],
			} {
				if value == "" {
					t.Errorf("%s has no %s", r.Alert, field)
				}
			}
		}
	}
}

// TestScale: every range, wait and interval is scaled, down to what Prometheus can
// do; nothing else is.
func TestScale(t *testing.T) {
	t.Parallel()
	if _, err := slo.Rules(0); err == nil {
		t.Error("no time at all is taken")
	}
	one, sixtieth := rules(t, 1), rules(t, 1.0/60)
	if len(one) != len(sixtieth) {
		t.Fatal("other groups")
	}
	for i, g := range one {
		scaled := sixtieth[i]
		compare(t, g.Name, g.Interval, scaled.Interval, time.Second)
		for j, r := range g.Rules {
			s := scaled.Rules[j]
			name := r.Record + r.Alert
			compare(t, name, r.For, s.For, time.Second)
			compare(t, name, r.KeepFiringFor, s.KeepFiringFor, time.Second)
			before, after := ranges.FindAllString(r.Expr, -1), ranges.FindAllString(s.Expr, -1)
			if len(before) != len(after) {
				t.Fatalf("%s: ranges %q became %q", name, before, after)
			}
			for k := range before {
				compare(t, name, strings.Trim(before[k], "[]"), strings.Trim(after[k], "[]"), 5*time.Second)
			}
			if d := cmp.Diff(r.Annotations, s.Annotations); d != "" || r.Record != s.Record {
				t.Errorf("%s became %s%s%s", name, s.Record, s.Alert, d)
			}
		}
	}
	fast := find(t, sixtieth, "PlaceOrderBurnsFast")
	if want := `and slo:errors:rate1h{slo="place-order"} * 60 >= 10`; !strings.Contains(fast.Expr, want) {
		t.Errorf("want %s in\n%s", want, fast.Expr)
	}
}

var ranges = regexp.MustCompile(`\[\d+[a-z0-9]+\]`)

// compare wants scaled to be a sixtieth of whole, and no less than least.
func compare(t *testing.T, name, whole, scaled string, least time.Duration) {
	t.Helper()
	if whole == "" && scaled == "" {
		return
	}
	w, err1 := model.ParseDuration(whole)
	s, err2 := model.ParseDuration(scaled)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if want := max(time.Duration(w)/60, least); time.Duration(s) != want {
		t.Errorf("%s: %s became %s, want %s", name, whole, scaled, want)
	}
}

// TestFaultsAreNamed: what is wrong in a file is said with the field's name.
func TestFaultsAreNamed(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ file, replace, by, want string }{
		{"slo/place-order.yaml", "kind: SLO", "kind: SLI", "kind is"},
		{"slo/place-order.yaml", "name: place-order\n", "name: orders\n", "metadata.name"},
		{"slo/place-order.yaml", "target: 0.999", "target: 0.93", "spec.objectives[0].target"},
		{"slo/place-order.yaml", "target: 0.999", "target: 1", "spec.objectives[0].target"},
		{"slo/place-order.yaml", "target: 0.999", "target: 0.999\n      timeSliceWindow: 1m", "timeSliceWindow"},
		{"slo/place-order.yaml", "counter: true", "counter: false", "ratioMetric.counter"},
		{"slo/place-order.yaml", "query: rpc", "query: sum(rpc", "ratioMetric.good.metricSource.spec.query"},
		{"slo/place-order.yaml", "28d", "30d", "spec.timeWindow"},
		{"slo/place-order.yaml", "description:", "describe:", "field describe not found"},
		{"slo/place-order.yaml", "feels:", "fells:", "annotations.feels"},
		{"slo/place-order.yaml", "feels:", "leastFailures: none\n    feels:", "annotations.leastFailures"},
		{"slo/money-reconciles.yaml", "timeSliceWindow: 1m", "timeSliceWindow: 10m", "timeSliceWindow"},
		{"slo/money-reconciles.yaml", "timeSliceTarget: 1\n", "timeSliceTarget: 2\n", "timeSliceTarget"},
		{"slo/money-reconciles.yaml", "query: vector(1)", `query: ""`, "ratioMetric.total.metricSource.spec.query"},
		{"alerts.yaml", "severity: page", "severity: mail", "ServiceDown: severity"},
		{"alerts.yaml", "for: 1m", "wait: 1m", "field wait not found"},
		{"alerts.yaml", "for: 1m", "for: 0s", "ServiceDown: for"},
		{"alerts.yaml", "[10m]", "[1h:1m]", "CacheEvicts: expr"},
		{"alerts.yaml", "alert: BooksDiffer", "alert: LedgerDoesNotBalance", "there twice"},
	} {
		t.Run(tc.want, func(t *testing.T) {
			t.Parallel()
			content, err := fs.ReadFile(observability.Files, tc.file)
			if err != nil {
				t.Fatal(err)
			}
			broken := strings.Replace(string(content), tc.replace, tc.by, 1)
			if broken == string(content) {
				t.Fatalf("nothing replaced by %q", tc.by)
			}
			files := fstest.MapFS{tc.file: {Data: []byte(broken)}}
			_, err1 := slo.LoadSLOs(files)
			_, err2 := slo.LoadCauses(files)
			err = errors.Join(err1, err2)
			if err == nil || !strings.Contains(err.Error(), tc.file) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("want %s and %s in: %v", tc.file, tc.want, err)
			}
		})
	}
}

// TestThePageSaysWhatHolds: objectives, budgets and least failures in docs/slo.md.
func TestThePageSaysWhatHolds(t *testing.T) {
	t.Parallel()
	page := string(read(t, "../../../docs/slo.md"))
	slos, err := slo.LoadSLOs(observability.Files)
	if err != nil {
		t.Fatal(err)
	}
	for i := range slos {
		name, target := slos[i].Metadata.Name, slos[i].Spec.Objectives[0].Target
		budget := time.Duration((1 - target) * float64(28*24*time.Hour)).Round(time.Minute)
		text := fmt.Sprintf("%d min", int(budget.Minutes()))
		if budget >= time.Hour {
			text = fmt.Sprintf("%d h %d min", int(budget.Hours()), int(budget.Minutes())%60)
		}
		want := fmt.Sprintf("| %g %% | %s |", math.Round(target*1e6)/1e4, text)
		row := regexp.MustCompile(`(?m)^\| ` + name + ` \|.*$`).FindString(page)
		if !strings.Contains(row, want) {
			t.Errorf("docs/slo.md says of %s %q, want %s", name, row, want)
		}
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
