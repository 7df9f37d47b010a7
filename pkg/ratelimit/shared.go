package ratelimit

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed take.lua
var takeSource string

var take = redis.NewScript(takeSource)

// KeyPrefix keeps buckets apart from what else lies in the service's Redis.
const KeyPrefix = "ratelimit:"

// shared takes one call out of the customer's bucket in Redis.
func (l *Limiter) shared(ctx context.Context, customer string, limit Limit) (verdict, error) {
	const micros = 1e6
	interval := strconv.FormatFloat(micros/limit.Rate, 'f', -1, 64)
	got, err := take.Run(ctx, l.cfg.Client, []string{KeyPrefix + customer}, interval, limit.Burst).Int64Slice()
	if err != nil {
		return verdict{}, err
	}
	const fields = 4
	if len(got) != fields {
		return verdict{}, fmt.Errorf("the script answered %d fields, want %d", len(got), fields)
	}
	return verdict{
		ok: got[0] == 1, remaining: int(got[1]),
		full: time.Duration(got[2]) * time.Microsecond, retry: time.Duration(got[3]) * time.Microsecond,
	}, nil
}
