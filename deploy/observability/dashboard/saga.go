package dashboard

// saga is the decider of orders.
func saga(m *Meanings) board {
	target := m.target("order-confirmed")
	return board{
		name: "saga", title: "the checkout saga",
		answers: "**Do orders end, and how?** An order that waits for a step is sent the step again, and undone when " +
			"the step's time is over. What cannot be undone by itself ends with an operator: `ballast order list " +
			"--needs-operator`.",
		rows: []row{
			{"Unfinished", []panel{
				{
					title: "Need an operator", draw: number, wide: 6,
					says:    "Each has neither goods nor money back.",
					queries: []query{{"max(orders_needs_operator)", "orders"}},
					from:    []threshold{{1, bad}},
				},
				{
					title: "Unfinished", draw: number, wide: 6,
					queries: []query{{"sum(max by (status) (orders_unfinished))", "orders"}},
				},
				{
					title: "Confirmed of all that ended", draw: number, wide: 6,
					says:    "The rest was cancelled, or waits for an operator.",
					queries: []query{{`sum(rate(orders_checkout_duration_seconds_count{outcome="confirmed"}` + interval + ")) / sum(rate(orders_checkout_duration_seconds_count" + interval + "))", "confirmed"}},
				},
				{
					title: "Ended within 2 s", draw: number, wide: 6,
					says:    "Of all that were placed, by the objective.",
					queries: []query{{`1 - slo:errors:ratio_rate5m{slo="order-confirmed"}`, "in time"}},
					from:    []threshold{{target - .005, worry}, {target, good}},
				},
				{
					title: "Unfinished by state", draw: stacked,
					says:    "What grows is the step that waits: PLACED for inventory, RESERVED for payments, CHARGED for the shipment.",
					queries: []query{{"max by (status) (orders_unfinished)", "{{status}}"}},
					next:    []string{"queues", "inventory", "payments"},
				},
				{
					title:   "By how they ended",
					queries: []query{{rate("orders_checkout_duration_seconds_count", "outcome"), "{{outcome}}"}},
					next:    []string{"order-journey"},
				},
			}},
			{"Steps", []panel{
				{
					title:   "Time of a step",
					queries: quantiles("orders_step_duration_seconds", "", "{{step}}", "step"),
					next:    []string{"order-journey"},
				},
				{title: "Steps answered", queries: []query{{rate("orders_step_duration_seconds_count", "step"), "{{step}}"}}},
				{title: "Steps undone", queries: []query{{rate("orders_compensations_total", "step"), "{{step}}"}}},
				{title: "Transitions", queries: []query{{rate("orders_transitions_total", "status"), "{{status}}"}}},
			}},
			{"Timeouts", []panel{
				{
					title:   "Compensations sent again",
					says:    "A step that is to be undone and does not answer: its service is away.",
					queries: []query{{"sum(rate(orders_compensation_resends_total" + interval + "))", "sent again"}},
					quiet:   "Nothing was sent again.", next: []string{"queues"},
				},
				{
					title:   "Oldest wait for a step",
					says:    "The slowest answers; a step's time is over after ten minutes.",
					queries: []query{{quantile(.999, "orders_step_duration_seconds", "", "step"), "{{step}} p99.9"}},
				},
			}},
		},
	}
}
