//go:build observability

package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestObservedStack brings up a stack with Prometheus and the collector: each
// process is scraped, and the trace of an order is in the files.
func TestObservedStack(t *testing.T) {
	t.Parallel()
	p := startWith(t, []string{"--observability", "--replicas", "2"})
	ctx := t.Context()
	state, err := p.home.Running()
	if err != nil {
		t.Fatal(err)
	}
	p.stock(ctx, 10, "SEEN")
	placed, err := p.Place(ctx, "ada", "one", request("SEEN"))
	if err != nil {
		t.Fatal(err)
	}
	await(ctx, t, p, placed.GetOrderId())

	want := []string{"collector 1", "inventory 2", "orders 2", "payments 2", "prometheus 1"}
	for _, c := range state.Children {
		if c.Name == "node-exporter" {
			want = append(want, "node 1")
		}
	}
	slices.Sort(want)
	within(t, "every process is scraped", func() bool {
		got := query(ctx, t, state.Endpoints.Prometheus, "count by (job) (up == 1)", "job")
		diff := cmp.Diff(want, got)
		t.Log(diff)
		return diff == ""
	})
	within(t, "Prometheus has the order", func() bool {
		return len(query(ctx, t, state.Endpoints.Prometheus, `process_resident_memory_bytes{job="orders"} > 0`, "instance")) == 2
	})
	within(t, "Prometheus evaluates the rules", func() bool {
		return len(query(ctx, t, state.Endpoints.Prometheus, "sum(prometheus_rule_group_rules) > 10", "")) == 1 &&
			len(query(ctx, t, state.Endpoints.Prometheus, "prometheus_config_last_reload_successful == 1", "job")) == 1
	})
	within(t, "the order's trace is in the files", func() bool {
		return tracesMention(t, state.Endpoints.Traces, placed.GetOrderId())
	})
}

// query asks Prometheus and returns a label and the value of each series, sorted.
func query(ctx context.Context, t *testing.T, prometheus, expression, label string) []string {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, prometheus+"/api/v1/query?query="+url.QueryEscape(expression), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct {
		Status string `json:"status"`
		Data   struct {
			Result []struct {
				Metric map[string]string `json:"metric"`
				Value  [2]any            `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.Status != "success" {
		t.Fatalf("%s: %s %v", expression, answer.Status, err)
	}
	var found []string
	for _, series := range answer.Data.Result {
		value, _ := series.Value[1].(string)
		found = append(found, series.Metric[label]+" "+value)
	}
	slices.Sort(found)
	return found
}

// tracesMention tells whether one line of the files of traces has the text.
func tracesMention(t *testing.T, dir, text string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(content) {
			if strings.Contains(string(line), text) {
				return true
			}
		}
	}
	return false
}
