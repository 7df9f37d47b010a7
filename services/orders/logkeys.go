package main

// logKeys are the words of this service that its log lines may show, and what
// their values are.
func logKeys() map[string]string {
	return map[string]string{
		"order_id": "UUID", "request_key": "beginning of the hash of an Idempotency-Key",
		"detail": "why a person is needed, in words of the platform", "resends": "number",
		"since": "time", "next_look": "time",
	}
}
