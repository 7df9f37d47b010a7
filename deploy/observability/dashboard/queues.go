package dashboard

// queues are the outboxes, the topics and the groups.
func queues() board {
	const own = `job=~"$service"`
	return board{
		name: "queues", title: "queues",
		answers: "**What waits, where, and since when?** A message waits in the outbox until it is published, in the " +
			"broker until it is polled, in the process until a handler takes it. Lag that grows is a consumer that is " +
			"slow, paused or away; a letter in the DLQ waits for a person.",
		chosen: []string{service},
		rows: []row{
			{"Behind", lags(own)},
			{"Time in queue", waits(own)},
			{"What failed", failures(own)},
			{"Outbox and inbox", boxes(own)},
		},
	}
}

// lags tell how much is behind, and why it may be.
func lags(own string) []panel {
	return []panel{
		{
			title:   "Messages behind",
			says:    "What lies in a retry topic waits for a time, not for a consumer.",
			queries: []query{{"sum by (group, topic) (max by (group, topic, partition) (stream_lag{" + own + "}))", "{{group}} {{topic}}"}},
		},
		{
			title:   "Paused",
			says:    "1 while nothing is taken. With backpressure it is no fault: the handler has enough to do.",
			queries: []query{{"max by (group, reason) (stream_paused{" + own + "})", "{{group}} {{reason}}"}},
			quiet:   "No group has paused yet.",
		},
		{
			title:   "Messages handled",
			queries: []query{{rate("stream_broker_wait_seconds_count{"+own+"}", "group", "topic"), "{{group}} {{topic}}"}},
		},
		{
			title: "Records of a handler call",
			says:  "Grows by itself with the load: the batch is what was polled.",
			queries: []query{
				{quantile(.5, "stream_batch", own, "group"), "{{group}} p50"},
				{quantile(.99, "stream_batch", own, "group"), "{{group}} p99"},
			},
		},
	}
}

// waits are the times in queue, and that of the handler.
func waits(own string) []panel {
	return []panel{
		{title: "Broker wait", queries: quantiles("stream_broker_wait_seconds", own, "{{group}}", "group")},
		{title: "Local wait", queries: quantiles("stream_local_wait_seconds", own, "{{group}}", "group")},
		{
			title:   "Event age at the handler",
			says:    "The sum: outbox, broker and local wait.",
			queries: quantiles("stream_event_age_seconds", own, "{{group}}", "group"),
		},
		{
			title:   "Handler calls",
			queries: quantiles("stream_process_seconds", own, "{{group}}", "group"),
			next:    []string{"orders", "inventory", "payments"},
		},
		{
			title: "Broker wait of all messages", draw: heat, wide: 24,
			queries: []query{{buckets("stream_broker_wait_seconds", own), "{{le}}"}},
		},
	}
}

// failures are messages that left the normal path.
func failures(own string) []panel {
	return []panel{
		{
			title:   "Set aside, by reason",
			says:    "Tried again after a while; what follows under the key waits behind it.",
			queries: []query{{rate("stream_set_aside_total{"+own+"}", "group", "reason"), "{{group}} {{reason}}"}},
			quiet:   "Nothing was set aside.",
		},
		{
			title:   "Dead letters, by reason",
			queries: []query{{rate("stream_dead_letters_total{"+own+"}", "group", "reason"), "{{group}} {{reason}}"}},
			quiet:   "Nothing was given up.",
		},
		{
			title:   "Dead letters that wait for a person",
			says:    "`ballast dlq list` shows them.",
			queries: []query{{"sum by (group, topic) (max by (group, topic) (stream_dead_letters_open{" + own + "}))", "{{group}} {{topic}}"}},
			from:    []threshold{{1, bad}},
		},
		{
			title:   "Handler calls by outcome",
			queries: []query{{rate("stream_process_seconds_count{"+own+"}", "group", "outcome"), "{{group}} {{outcome}}"}},
		},
	}
}

// boxes are what lies between a transaction and the broker.
func boxes(own string) []panel {
	return []panel{
		{title: "Waiting in the outbox", queries: []query{{"max by (job) (outbox_depth{" + own + "})", "{{job}}"}}},
		{
			title:   "Age of the outbox",
			queries: []query{{"max by (job) (outbox_age_seconds{" + own + "})", "{{job}}"}},
			from:    []threshold{{30, bad}},
		},
		{title: "Wait in the outbox", queries: quantiles("outbox_wait_seconds", own, "{{job}}", "job")},
		{
			title:   "Time of a look through the outbox",
			says:    "High while an old snapshot keeps dead rows.",
			queries: quantiles("outbox_scan_duration_seconds", own, "{{job}}", "job"),
			next:    []string{"overview"},
		},
		{title: "Published", queries: []query{{rate("outbox_published_total{"+own+"}", "job"), "{{job}}"}}},
		{
			title:   "Dead rows in the outbox",
			queries: []query{{"max by (job) (outbox_dead_open{" + own + "})", "{{job}}"}},
			from:    []threshold{{1, bad}},
		},
		{
			title:   "Inbox",
			says:    "A duplicate has no effect; outside the window the aggregate's own state decides.",
			queries: []query{{rate("inbox_messages_total{"+own+"}", "job", "outcome"), "{{job}} {{outcome}}"}},
		},
		{
			title:   "Leaders",
			says:    "One process of each service publishes.",
			queries: []query{{"sum by (job, lease) (lease_leading{" + own + "})", "{{job}} {{lease}}"}},
		},
	}
}
