package main

// logKeys are the words of this service that its log lines may show, and what
// their values are.
func logKeys() map[string]string {
	return map[string]string{
		"order_id": "UUID",
	}
}
