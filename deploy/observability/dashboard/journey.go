package dashboard

// journey follows an order from the click to the confirmation.
func journey() board {
	return board{
		name: "order-journey", title: "an order's journey",
		answers: "**How long does an order take, and where does the time go?** An order is placed, its stock " +
			"reserved, its card charged, its shipment scheduled. The time of a step is that of two messages and a " +
			"transaction on either side: below it stands what each message waited for.",
		rows: []row{
			{"How it ends", []panel{
				{
					title: "Placed to the end", says: "What the customer feels; promised is 2 s.",
					queries: quantiles("orders_checkout_duration_seconds", "", "{{outcome}}", "outcome"),
					from:    []threshold{{2, bad}}, next: []string{"saga"},
				},
				{
					title: "Confirmed orders by their time", draw: heat,
					queries: []query{{buckets("orders_checkout_duration_seconds", `outcome="confirmed"`), "{{le}}"}},
				},
				{
					title: "Transitions", says: "Each order passes PLACED, RESERVED, CHARGED and CONFIRMED once. Where the rates part, orders wait or are undone.",
					queries: []query{{rate("orders_transitions_total", "status"), "{{status}}"}}, next: []string{"saga"},
				},
				{
					title: "Steps undone", says: "A declined card releases the stock; a late answer is put right.",
					queries: []query{{rate("orders_compensations_total", "step"), "{{step}}"}},
					next:    []string{"saga"},
				},
			}},
			{"Where the time goes", []panel{
				{
					title: "Steps", says: "From the command to its answer, on the clock of orders.",
					queries: quantiles("orders_step_duration_seconds", "", "{{step}}", "step"), next: []string{"queues"},
				},
				{
					title: "Steps, all of them by their time", draw: heat,
					queries: []query{{buckets("orders_step_duration_seconds", ""), "{{le}}"}},
				},
				{
					title: "Mean time of a message, by where it waits", draw: stacked, wide: 24,
					says: "Outbox: from its transaction until it is published. Broker: until it is polled. Local: until a handler takes it. Then the handler's call.",
					queries: []query{
						{mean("outbox_wait_seconds", "", "job"), "{{job}} outbox"},
						{mean("stream_broker_wait_seconds", checkout, "group"), "{{group}} broker"},
						{mean("stream_local_wait_seconds", checkout, "group"), "{{group}} local"},
						{mean("stream_process_seconds", checkout, "group"), "{{group}} handler"},
					},
					next: []string{"queues"},
				},
				{
					title: "Calls to the provider", says: "The part of the charge that is not ours.",
					queries: quantiles("payments_provider_call_duration_seconds", "", "{{operation}}", "operation"), next: []string{"money"},
				},
				{
					title: "PlaceOrder", says: "What the customer waits for: orders' own work, before any message.",
					queries: quantiles("rpc_server_call_duration_seconds", `rpc_method="orders.v1.OrderService/PlaceOrder"`, "", "job"), next: []string{"orders"},
				},
			}},
		},
	}
}

// checkout are the groups that an order passes.
const checkout = `group=~"orders|inventory|payments"`
