//go:build apachekafka

package e2e_test

// broker is a real Apache Kafka in `make test-kafka`.
const broker = "apache"
