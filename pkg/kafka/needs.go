package kafka

import (
	"maps"
	"slices"
)

// Needs is what a service does at Kafka, in one place: its topics are made from this,
// and its rights are given from it.
type Needs struct {
	// Writes are the topics that it writes.
	Writes []string
	// Consumes has the topics that each of its groups reads. To each belong a retry
	// topic and a DLQ.
	Consumes map[string][]string
	// Follows are topics that every process reads from their end, without a group.
	Follows []string
	// Watches has the groups of others whose progress it asks for, and their topics.
	Watches map[string][]string
}

// Groups are the consumer groups, sorted.
func (n Needs) Groups() []string { return slices.Sorted(maps.Keys(n.Consumes)) }
