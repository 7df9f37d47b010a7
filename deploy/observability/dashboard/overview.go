package dashboard

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/units"

	"example.com/ballast/deploy/observability/slo"
)

// overview is where a page ends up first.
func overview(m *Meanings) board {
	return board{
		name: "overview", title: "overview",
		answers: "**Do customers get what they were promised, and if not, where do I look?** " +
			"A firing alert names its runbook and the dashboard of its cause. The budgets say how much may " +
			"still go wrong in 28 days; the rates below say what goes wrong now.",
		chosen: []string{service},
		rows: []row{
			{"Alerts", []panel{{
				title: "Firing alerts", draw: list,
				says:    "In each line the links to its runbook, and to the dashboard where its cause shows.",
				queries: []query{{firing(m.rules), ""}},
				quiet:   "No alert fires.",
				labels:  []string{"severity", "alertname", "job", "group", "topic", "dependency", "dashboard", "runbook"},
				urls:    map[string]string{"dashboard": toDashboard("${__value.text}"), "runbook": runbooks(m.rules) + "${__value.text}.md"},
			}}},
			{"Promises", promises()},
			{"At the edge", []panel{
				{
					title: "Calls", queries: []query{{rate(`rpc_server_call_duration_seconds_count{job=~"$service"}`, "job"), "{{job}}"}},
					wide: 8, next: []string{"orders"},
				},
				{
					title: "Calls that failed for our fault", draw: lines, wide: 8,
					says:    "The share of calls that ended in an error of ours: neither the caller's mistake nor one of a customer over the limit.",
					queries: []query{{failed(`job=~"$service"`), "{{job}}"}},
					quiet:   "No call has failed.", next: []string{"orders", "inventory", "payments"},
				},
				{
					title: "Duration of calls", wide: 8, next: []string{"orders"},
					queries: quantiles("rpc_server_call_duration_seconds", `job=~"$service"`, "{{job}}", "job"),
				},
			}},
			{"What the platform does", []panel{
				{
					title: "Orders a second", says: "What is placed and not confirmed a little later is a queue that grows, or is undone.",
					queries: []query{{rate("orders_transitions_total", "status"), "{{status}}"}},
					next:    []string{"order-journey", "saga"}, wide: 8,
				},
				{
					title: "Messages behind", queries: []query{{behind("group"), "{{group}}"}},
					next: []string{"queues"}, wide: 8,
				},
				{
					title: "Processes", says: "By version: during a deploy there are two.",
					queries: []query{{`count by (job, version) (build_info{job=~"$service"})`, "{{job}} {{version}}"}}, wide: 8,
				},
			}},
			{"The database's health", []panel{
				{
					title: "Oldest transaction", says: "One that idles holds its locks, and keeps old rows from being removed.",
					queries: []query{{"max by (job, state) (pg_transaction_oldest_seconds)", "{{job}} {{state}}"}},
				},
				{
					title: "WAL that replication slots retain", says: "A slot that nobody reads fills the disk.",
					queries: []query{{"max by (job) (pg_replication_slots_retained_bytes)", "{{job}}"}},
				},
			}},
		},
	}
}

// firing has the dashboard of an alert's cause and its runbook in labels, for links.
// The two alerts of an objective share theirs; that of a breaker leads to the service.
func firing(rules []slo.Rule) string {
	expr := `label_replace(label_replace(ALERTS{alertstate="firing"}, "dashboard", "$1", "job", "(.+)"), "runbook", "$1", "alertname", "(.*?)(Fast|Slow)?")`
	alerts := map[string][]string{}
	for _, r := range rules {
		if name := path.Base(r.Annotations["dashboard_url"]); r.Alert != "" && !strings.Contains(name, "$") {
			alerts[name] = append(alerts[name], r.Alert)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(alerts)) {
		expr = fmt.Sprintf(`label_replace(%s, "dashboard", %q, "alertname", %q)`, expr, name, strings.Join(alerts[name], "|"))
	}
	return expr
}

// runbooks is the directory of the runbooks, as alerts have it.
func runbooks(rules []slo.Rule) string {
	for _, r := range rules {
		if url := r.Annotations["runbook_url"]; url != "" {
			return url[:strings.LastIndex(url, "/")+1]
		}
	}
	return ""
}

// promises are the objectives.
func promises() []panel {
	return []panel{
		{
			title: "Error budget left", draw: number, wide: 24,
			says:    "Of what may fail in 28 days. At 0 the promise is broken; below a quarter, what is risky waits.",
			queries: []query{{"slo:error_budget:remaining_ratio", "{{slo}}"}},
			from:    []threshold{{0, worry}, {.25, good}},
		},
		{
			title: "Burn rate, over an hour", says: "At 1 the budget lasts exactly its 28 days, at 14.4 it is gone in two: that pages.",
			queries: []query{{`slo:errors:ratio_rate1h / on (slo) group_left () (1 - slo:objective:ratio)`, "{{slo}}"}},
			unit:    units.Short, from: []threshold{{6, worry}, {14.4, bad}}, next: []string{"order-journey", "money", "queues", "saga"},
		},
		{
			title: "Failed, over five minutes", says: "The share of events, or of minutes, that was not good.",
			queries: []query{{"slo:errors:ratio_rate5m", "{{slo}}"}},
			next:    []string{"order-journey", "orders"},
		},
	}
}

// failed is the share of calls that ended in an error of ours, by service.
func failed(matchers string) string {
	return rate("rpc_server_call_duration_seconds_count{"+matchers+`,rpc_response_status_code=~"UNKNOWN|INTERNAL|UNAVAILABLE|DEADLINE_EXCEEDED|DATA_LOSS|UNIMPLEMENTED"}`, "job") +
		" / " + rate("rpc_server_call_duration_seconds_count{"+matchers+"}", "job")
}

// behind are the records that groups have not finished: every member reports them.
func behind(by string) string {
	return "sum by (" + by + ") (max by (group, topic, partition) (stream_lag))"
}
