package dashboard

import "github.com/grafana/grafana-foundation-sdk/go/units"

// confirmed orders a second. Where there were none, the cost of one is not drawn.
const confirmed = `scalar(sum(rate(orders_transitions_total{status="CONFIRMED"}` + interval + `)) > 0)`

// cost is what an order costs.
func cost() board {
	each := func(series, by string) query {
		return query{"sum by (" + by + ") (rate(" + series + interval + ")) / " + confirmed, "{{" + by + "}}"}
	}
	total := func(title, series string, next ...string) panel {
		return panel{title: title, draw: number, wide: 6, next: next, queries: []query{{"sum(rate(" + series + interval + ")) / " + confirmed, "an order"}}}
	}
	attempts := rate("dependency_attempt_duration_seconds_count", "job", "dependency")
	return board{
		name: "cost", title: "cost of an order",
		answers: "**What does a confirmed order cost?** All that was done, divided by the orders that were confirmed " +
			"meanwhile: reads and declined orders are in it. It falls under load, when batches grow; a rise after a " +
			"deploy is a regression.",
		rows: []row{
			{"One confirmed order", []panel{
				total("Statements", "pg_statements_total"),
				total("Messages", "kafka_produced_messages_total", "queues"),
				total("Bytes of messages", "kafka_produced_bytes_total", "queues"),
				total("Calls to the provider", "payments_provider_call_duration_seconds_count", "money"),
				total("Processor time", `process_cpu_seconds_total{job=~"orders|inventory|payments"}`),
				total("Deliveries", "kafka_consumed_messages_total", "queues"),
				total("Bytes delivered", "kafka_consumed_bytes_total", "queues"),
				total("Calls of services", "rpc_server_call_duration_seconds_count"),
			}},
			{"Who spends it", []panel{
				{title: "Statements by service", draw: stacked, queries: []query{each("pg_statements_total", "job")}},
				{
					title: "Processor time by service", draw: stacked,
					queries: []query{each(`process_cpu_seconds_total{job=~"orders|inventory|payments"}`, "job")},
				},
				{
					title: "Messages by topic", draw: stacked,
					queries: []query{each("kafka_produced_messages_total", "topic")},
					next:    []string{"queues"},
				},
				{
					title: "Bytes by topic", draw: stacked,
					queries: []query{each("kafka_produced_bytes_total", "topic")},
					next:    []string{"queues"},
				},
				{
					title: "Deliveries of a message", unit: units.Short,
					says:    "Every message that is produced is consumed by its groups: more than the groups are retries and replays.",
					queries: []query{{rate("kafka_consumed_messages_total", "topic") + " / " + rate("kafka_produced_messages_total", "topic"), "{{topic}}"}},
				},
				{
					title: "Attempts of a call", unit: units.Short,
					says:    "All attempts by first ones: at most 1.1 while a dependency is away, since retries have a budget.",
					queries: []query{{attempts + " / (" + attempts + " - " + rate("dependency_retries_total", "job", "dependency") + ")", "{{job}} {{dependency}}"}},
					quiet:   "Nothing was tried again.", from: []threshold{{1.1, bad}},
				},
			}},
		},
	}
}
