// Package needs says what payments does at the servers that it shares with others, for
// whoever gives it the rights to do so. It is no API: services know each other by
// messages alone.
package needs

import (
	"example.com/ballast/pkg/kafka"
	"example.com/ballast/services/payments/internal/events"
)

// Kafka is what payments does there.
func Kafka() kafka.Needs { return events.Needs() }
