package dashboard

import "slices"

// services are one dashboard each: what all have, and what one alone has.
func services() []board {
	return []board{
		serviceBoard("orders", "Do customers get answers, and in an overload the most important calls first?", []row{
			{"The edge", []panel{
				{
					title:   "Shed, by priority",
					says:    "The lowest priority goes first.",
					queries: []query{{rate(`shed_calls_total{job="orders",instance=~"$replica"}`, "priority", "outcome"), "{{priority}} {{outcome}}"}},
				},
				{title: "Places", says: "Calls that may run at once, those that do, and those that wait for a place.", queries: []query{
					{`sum(shed_limit{job="orders",instance=~"$replica"})`, "limit"}, {`sum(shed_in_flight{job="orders",instance=~"$replica"})`, "in flight"}, {`sum(shed_queued{job="orders",instance=~"$replica"})`, "queued"},
				}},
				{
					title:   "Pressure of backlogs",
					says:    "At 1 the lowest priorities are refused.",
					queries: []query{{`max by (source) (shed_pressure_ratio{job="orders",instance=~"$replica"})`, "{{source}}"}},
					from:    []threshold{{.8, worry}, {1, bad}}, next: []string{"queues"},
				},
				{
					title:   "Customers' limits",
					says:    "Taken or refused; the local store holds while Redis is away.",
					queries: []query{{rate(`ratelimit_calls_total{job="orders",instance=~"$replica"}`, "outcome", "store"), "{{outcome}} {{store}}"}},
				},
				{
					title:   "Streams of customers who watch an order",
					queries: []query{{`sum by (instance) (orders_watchers{instance=~"$replica"})`, "{{instance}}"}},
				},
			}},
		}),
		serviceBoard("inventory", "Is stock reserved in time, and does the shop see its products?", nil),
		serviceBoard("payments", "Is money taken in time, and what does the provider answer?", []row{
			{"The provider", []panel{
				{
					title:   "Calls by outcome",
					queries: []query{{rate(`payments_provider_call_duration_seconds_count{instance=~"$replica"}`, "operation", "outcome"), "{{operation}} {{outcome}}"}},
					next:    []string{"money"},
				},
				{
					title:   "Duration of calls",
					queries: quantiles("payments_provider_call_duration_seconds", `instance=~"$replica"`, "{{operation}}", "operation"),
				},
				{
					title:   "Webhooks",
					queries: []query{{rate(`payments_webhook_duration_seconds_count{instance=~"$replica"}`, "outcome"), "{{outcome}}"}},
				},
				{
					title: "Results stored by one transaction",
					queries: []query{
						{quantile(.5, "payments_save_batch", `instance=~"$replica"`), "p50"},
						{quantile(.99, "payments_save_batch", `instance=~"$replica"`), "p99"},
					},
				},
			}},
		}),
	}
}

func serviceBoard(name, question string, own []row) board {
	mine := `job="` + name + `",instance=~"$replica"`
	return board{
		name: name, title: name,
		answers: "**" + question + "** Its calls first (how many, how many fail, how long), then what they wait " +
			"for: dependencies and their breakers, pools, queues, the cache; in the end the process itself.",
		chosen: []string{replica},
		rows:   slices.Concat(calls(mine), own, needs(mine), process(mine)),
	}
}

// calls are RED: rate, errors, duration.
func calls(own string) []row {
	return []row{{"Calls", []panel{
		{
			title: "Calls a second", wide: 8,
			queries: []query{{rate("rpc_server_call_duration_seconds_count{"+own+"}", "rpc_method"), "{{rpc_method}}"}},
		},
		{
			title: "Calls by what was answered", wide: 8,
			says:    "Neither OK nor the caller's mistake: UNAVAILABLE, DEADLINE_EXCEEDED, INTERNAL, UNKNOWN.",
			queries: []query{{rate("rpc_server_call_duration_seconds_count{"+own+"}", "rpc_response_status_code"), "{{rpc_response_status_code}}"}},
		},
		{
			title: "Duration of calls", wide: 8,
			queries: quantiles("rpc_server_call_duration_seconds", own, "{{rpc_method}}", "rpc_method"),
		},
	}}}
}

// needs are the dependencies, and what lies between them and the service.
func needs(own string) []row {
	return []row{
		{"Dependencies", []panel{
			{
				title:   "Circuit breakers",
				says:    "Open: it is not called for now, and callers are told at once.",
				queries: []query{{"max by (dependency) (dependency_breaker_state{" + own + "})", "{{dependency}}"}},
				from:    []threshold{{1, worry}, {2, bad}},
			},
			{
				title:   "Attempts by outcome",
				queries: []query{{rate("dependency_attempt_duration_seconds_count{"+own+"}", "dependency", "outcome"), "{{dependency}} {{outcome}}"}},
			},
			{
				title:   "Duration of attempts",
				queries: []query{{quantile(.99, "dependency_attempt_duration_seconds", own, "dependency"), "{{dependency}} p99"}},
			},
			{
				title:   "Places taken in the bulkheads",
				says:    "At 1 the next call waits, or is refused.",
				queries: []query{{"max by (dependency) (dependency_in_flight{" + own + "} / dependency_limit{" + own + "})", "{{dependency}}"}},
				from:    []threshold{{.8, worry}, {1, bad}},
			},
			{
				title: "Retries",
				says:  "And those that the budget refused.",
				queries: []query{
					{rate("dependency_retries_total{"+own+"}", "dependency"), "{{dependency}}"},
					{rate("dependency_retries_denied_total{"+own+"}", "dependency"), "{{dependency}} denied"},
				},
				quiet: "Nothing was tried again.",
			},
			{
				title:   "Refused by the bulkheads",
				queries: []query{{rate("dependency_rejected_total{"+own+"}", "dependency"), "{{dependency}}"}},
				quiet:   "No call found its bulkhead full.",
			},
		}},
		{"Pools of the database", []panel{
			{
				title:   "Connections in use",
				says:    "Of a pool's largest number.",
				queries: []query{{"max by (instance, db_client_connection_pool_name) (pgxpool_acquired_connections{" + own + "} / pgxpool_max_connections{" + own + "})", "{{instance}} {{db_client_connection_pool_name}}"}},
				from:    []threshold{{.8, worry}, {1, bad}},
			},
			{
				title:   "Statements",
				queries: []query{{rate("pg_statements_total{"+own+"}", "pool"), "{{pool}}"}},
				next:    []string{"cost"},
			},
		}},
		{"Queues", work(own)},
	}
}

// process is the program on its machine.
func process(own string) []row {
	return []row{{"The process", []panel{
		{
			title: "Processors", wide: 8,
			queries: []query{{rate("process_cpu_seconds_total{"+own+"}", "instance"), "{{instance}}"}},
		},
		{
			title: "Memory", wide: 8,
			queries: []query{
				{"sum by (instance) (process_resident_memory_bytes{" + own + "})", "{{instance}} resident"},
				{"sum by (instance) (go_memory_used_bytes{" + own + "})", "{{instance}} Go"},
			},
		},
		{
			title: "Goroutines", wide: 8,
			queries: []query{{"sum by (instance) (go_goroutine_count{" + own + "})", "{{instance}}"}},
		},
		{
			title: "Open files", wide: 8,
			queries: []query{{"max by (instance) (process_open_fds{" + own + "} / process_max_fds{" + own + "})", "{{instance}}"}},
		},
		{
			title: "Wait for a processor", wide: 8,
			says:    "How long goroutines that could run had to wait.",
			queries: []query{{quantile(.99, "go_schedule_duration_seconds", own, "instance"), "{{instance}} p99"}},
		},
		{
			title: "Allocated", wide: 8,
			queries: []query{{rate("go_memory_allocated_bytes_total{"+own+"}", "instance"), "{{instance}}"}},
		},
	}}}
}

// work is what waits for the service, and what it leaves for others.
func work(own string) []panel {
	return []panel{
		{
			title: "Waiting in the outbox", wide: 8,
			queries: []query{{"max(outbox_depth{" + own + "})", "rows"}},
			next:    []string{"queues"},
		},
		{
			title: "Age of the outbox", wide: 8,
			queries: []query{{"max(outbox_age_seconds{" + own + "})", "oldest"}},
			from:    []threshold{{30, bad}}, next: []string{"queues"},
		},
		{
			title: "Messages behind", wide: 8,
			queries: []query{{"sum by (group, topic) (max by (group, topic, partition) (stream_lag{" + own + "}))", "{{group}} {{topic}}"}},
			next:    []string{"queues"},
		},
		{
			title: "Handler calls by outcome", wide: 8,
			queries: []query{{rate("stream_process_seconds_count{"+own+"}", "group", "outcome"), "{{group}} {{outcome}}"}},
		},
		{
			title: "Leads", wide: 8,
			says:    "One process does what needs doing once.",
			queries: []query{{"sum by (lease) (lease_leading{" + own + "})", "{{lease}}"}},
		},
	}
}
