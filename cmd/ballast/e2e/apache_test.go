//go:build apachekafka

package e2e_test

// The same tests on a real Apache Kafka: `make test-kafka`.
func init() { broker = "apache" }
