// Package needs says what orders does at the servers that it shares with others, for
// whoever gives it the rights to do so. It is no API: services know each other by
// messages alone.
package needs

import (
	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/ratelimit"
	"example.com/ballast/services/orders/internal/cache"
	"example.com/ballast/services/orders/internal/events"
)

// Kafka is what orders does there.
func Kafka() kafka.Needs { return events.Needs() }

// RedisKeys are the beginnings of the keys that orders has in its Redis.
func RedisKeys() []string { return []string{cache.Name + ":", ratelimit.KeyPrefix} }
