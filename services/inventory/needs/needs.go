// Package needs says what inventory does at the servers that it shares with others,
// for whoever gives it the rights to do so. It is no API: services know each other by
// messages alone.
package needs

import (
	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/ratelimit"
	"example.com/ballast/services/inventory/internal/cache"
	"example.com/ballast/services/inventory/internal/events"
)

// Kafka is what inventory does there.
func Kafka() kafka.Needs { return events.Needs() }

// RedisKeys are the beginnings of the keys that inventory has in its Redis.
func RedisKeys() []string { return []string{cache.Name + ":", ratelimit.KeyPrefix} }
