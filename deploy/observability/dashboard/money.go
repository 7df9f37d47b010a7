package dashboard

// money is the ledger and the provider's book.
func money() board {
	return board{
		name: "money", title: "money",
		answers: "**Is every penny accounted for?** Each charge and each refund is booked twice and must add up to " +
			"nothing, and each minute our books are compared with the provider's. Anything but zero pages.",
		rows: []row{
			{"The books", books()},
			{"The provider", provider()},
		},
	}
}

// books are ours, and what a comparison with the provider's has found.
func books() []panel {
	return []panel{
		{
			title: "Out of balance", draw: number, wide: 6,
			says:    "In minor units of the currency, such as pence.",
			queries: []query{{"max by (currency) (abs(payments_ledger_imbalance))", "{{currency}}"}},
			from:    []threshold{{1, bad}},
		},
		{
			title: "Differences", draw: number, wide: 6,
			says:    "What the last comparison of who leads has found.",
			queries: []query{{`sum(payments_reconcile_differences and on (job, instance) (lease_leading{lease="reconcile"} == 1))`, "payments"}},
			from:    []threshold{{1, bad}},
		},
		{
			title: "Last comparison", draw: number, wide: 6,
			says:    "How long ago a comparison was finished. One is made each minute.",
			queries: []query{{"min(payments_reconcile_age_seconds)", "ago"}},
			from:    []threshold{{120, worry}, {300, bad}},
		},
		{title: "Open payments", draw: number, queries: []query{{"sum(payments_open)", "open"}}, wide: 6},
		{
			title:   "Differences by kind",
			queries: []query{{`sum by (kind) (payments_reconcile_differences and on (job, instance) (lease_leading{lease="reconcile"} == 1))`, "{{kind}}"}},
		},
		{
			title:   "Age of the last comparison",
			queries: []query{{"min(payments_reconcile_age_seconds)", "age"}},
			from:    []threshold{{300, bad}},
		},
		{
			title:   "Compared payments",
			queries: []query{{"sum(rate(payments_reconcile_compared_total" + interval + "))", "compared"}},
		},
		{
			title:   "Settled payments by status",
			queries: []query{{rate("payments_settled_total", "status"), "{{status}}"}},
			next:    []string{"saga"},
		},
	}
}

// provider is whom payments calls.
func provider() []panel {
	return []panel{
		{
			title:   "Calls by outcome",
			queries: []query{{rate("payments_provider_call_duration_seconds_count", "operation", "outcome"), "{{operation}} {{outcome}}"}},
			next:    []string{"payments"},
		},
		{
			title:   "Duration of calls",
			queries: quantiles("payments_provider_call_duration_seconds", "", "{{operation}}", "operation"),
		},
		{
			title:   "Circuit breaker and places",
			says:    "Places taken in the bulkhead of the provider.",
			queries: []query{{`max(dependency_in_flight{dependency="provider"} / dependency_limit{dependency="provider"})`, "places taken"}},
			from:    []threshold{{1, bad}}, next: []string{"payments"},
		},
		{
			title:   "Open and stuck payments",
			says:    "Stuck: the provider gives no answer that helps.",
			queries: []query{{"sum(payments_open)", "open"}, {"max(payments_stuck)", "stuck"}},
		},
		{
			title:   "Taken over",
			says:    "Payments whose process died or waited too long: their lease had expired.",
			queries: []query{{"sum(rate(payments_leases_claimed_total" + interval + "))", "taken over"}},
			quiet:   "No lease has expired.",
		},
		{
			title:   "Webhooks",
			says:    "Hints: the provider's answer to a question counts, not the hint.",
			queries: []query{{rate("payments_webhook_duration_seconds_count", "outcome"), "{{outcome}}"}},
		},
	}
}
