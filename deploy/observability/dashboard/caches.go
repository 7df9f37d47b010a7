package dashboard

// caches are one Redis for each service.
func caches() board {
	const own = `job=~"$service"`
	return board{
		name: "caches", title: "caches",
		answers: "**Does each service's cache carry its share, and does one's churn stay its own?** Every service has " +
			"a Redis of its own with its own limit. No cached value decides money or stock: an empty cache costs " +
			"time, never an answer.",
		chosen: []string{service},
		rows: []row{
			{"What it saves", []panel{
				{
					title:   "Hit ratio",
					says:    "Hits of all reads; what is known not to exist counts as a hit.",
					queries: []query{{rate(`cache_requests_total{`+own+`,result=~"hit|negative"}`, "job", "cache") + " / " + rate(`cache_requests_total{`+own+`,result=~"hit|negative|miss|stale|degraded"}`, "job", "cache"), "{{job}} {{cache}}"}},
				},
				{
					title:   "Requests by result",
					says:    "Stale and degraded: the source or the cache was away.",
					queries: []query{{rate("cache_requests_total{"+own+"}", "job", "cache", "result"), "{{job}} {{cache}} {{result}}"}},
				},
				{
					title:   "Time of reading the source",
					queries: quantiles("cache_load_duration_seconds", own, "{{job}} {{cache}}", "job", "cache"),
					next:    []string{"orders", "inventory"},
				},
				{
					title:   "Invalidated keys",
					queries: []query{{rate("cache_invalidations_total{"+own+"}", "job", "cache"), "{{job}} {{cache}}"}},
				},
			}},
			{"Each Redis", []panel{
				{title: "Keys", queries: []query{{"max by (job) (cache_redis_keys{" + own + "})", "{{job}}"}}},
				{
					title: "Memory",
					queries: []query{
						{"max by (job) (cache_redis_memory_bytes{" + own + "})", "{{job}}"},
						{"max by (job) (cache_redis_memory_limit_bytes{" + own + "})", "{{job}} limit"},
					},
				},
				{
					title:   "Share of the memory in use",
					queries: []query{{"max by (job) (cache_redis_memory_bytes{" + own + "} / cache_redis_memory_limit_bytes{" + own + "})", "{{job}}"}},
					from:    []threshold{{.9, worry}},
				},
				{
					title:   "Evicted keys in five minutes",
					says:    "A full cache evicts now and then. A tenth of its keys in ten minutes is churn.",
					queries: []query{{"max by (job) (increase(cache_redis_evictions{" + own + "}[5m]))", "{{job}}"}},
				},
				{
					title:   "Calls to Redis",
					queries: []query{{quantile(.99, "dependency_attempt_duration_seconds", own+`,dependency=~"redis.*"`, "job", "dependency"), "{{job}} {{dependency}} p99"}},
				},
				{
					title:   "Circuit breakers of Redis",
					queries: []query{{`max by (job, dependency) (dependency_breaker_state{` + own + `,dependency=~"redis.*"})`, "{{job}} {{dependency}}"}},
					from:    []threshold{{1, worry}, {2, bad}},
				},
			}},
		},
	}
}
