package telemetry

// What a line's level means:
//
//	ERROR  a person must act, or look for the fault of a program
//	WARN   something is degraded, and mends itself when its cause is gone
//	INFO   the life of a process, and what was decided
//	DEBUG  for who looks for something; nothing of it is needed otherwise
//
// A line per order is none of these: an order is followed by its trace and by
// its history.

// technical are the keys of packages that services share, and what their values
// are. They are the platform's own words and numbers; none is a customer's text.
// A service names its own in Config.Keys. A test refuses a key in the code that
// is in neither.
func technical() map[string]string {
	return map[string]string{
		"service": "name of the service",
		"version": "of the program, or of an aggregate",
		"config":  "settings without secrets",
		"listen":  "address", "admin": "address", "peer": "address of whoever called",
		"error": "through ErrorText", "panic": "through PanicText", "stack": "functions and lines",
		"loop": "name of a background loop", "step": "of a saga, or of the shutdown",
		"took": "duration", "drain_delay": "duration", "max_wait": "duration", "due": "time",
		"count": "of what the message says", "limit": "number", "min": "number", "max": "number",
		"burst": "number", "rate": "number a second", "in_flight": "number", "queued": "number",
		"depth": "rows of the outbox", "untold": "lines left out since the last one",
		"refused": "calls by priority", "pressure": "by source",
		"procedure": "of an RPC", "code": "of its answer", "answer": "error made for the client",
		"correlation_id": "X-Correlation-Id, a UUID",
		"figure":         "what is looked up for the metrics",
		"file":           "path", "flag": "name", "flags": "names",
		"dependency": "name", "from_state": "of a breaker", "to_state": "of a breaker",
		"cache": "name", "cause": "why answers are stale",
		"lease": "name", "holder": "process", "epoch": "number",
		"database": "name", "postgres": "address", "migration": "file",
		"outbox_id": "row", "outbox_ids": "rows", "decision": "an operator's", "operator": "who", "why": "an operator's reason",
		"group": "consumer group", "topic": "name", "topics": "names", "dlq": "topic",
		"partition": "number", "partitions": "number", "offset": "number", "attempt": "number", "attempts": "number",
		"reason": "one of a few words", "message_id": "UUID", "message_key": "id of an aggregate", "type": "of a message",
		// Of the Kafka client.
		"broker": "number or address", "brokers": "addresses", "addr": "address", "topic_id": "UUID", "member_id": "of a group",
		"instance_id": "of a group", "consecutive_errors": "number", "can_fail": "bool", "max_bytes": "number",
	}
}

// allowed are the keys whose values may be seen.
func allowed(own map[string]string) map[string]bool {
	keys := make(map[string]bool)
	for _, list := range []map[string]string{technical(), own} {
		for key := range list {
			keys[key] = true
		}
	}
	return keys
}
