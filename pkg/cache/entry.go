package cache

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// entry is what lies under a key: a header of fixed width, then the value.
//
//	20 digits  version, zero-padded, so that it compares as text in any locale
//	1 byte     kind
//	13 digits  Unix milliseconds at which the source was asked
type entry struct {
	version int64
	kind    byte
	asOf    time.Time
	value   []byte
}

const (
	kindAt      = 20
	timeAt      = kindAt + 1
	headerBytes = timeAt + 13
)

// Kinds of an entry.
const (
	kindValue = 'v' // the value follows
	kindNone  = 'n' // the source has nothing under this key
	// kindTomb is an invalidation: no older version than its own may be stored for a
	// while. The value that was there before may follow, for when the source fails.
	kindTomb = 't'
)

// putScript stores an entry unless a newer version is there. KEYS[1]; ARGV
// entry, time to live in ms. It answers 1 when it stored. Equal versions are
// stored: a tombstone must give way to the very version that it announced.
var putScript = redis.NewScript(`
local old = redis.call('GETRANGE', KEYS[1], 0, 19)
if string.find(old, '^%d+$') and old > string.sub(ARGV[1], 1, 20) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`)

// invalidateScript marks each of KEYS as invalid before the version in ARGV at
// the same place; the last ARGV is for how many ms an invalidation is remembered.
// What is at that version already stays. Where Redis is full and may evict
// nothing, the key is deleted: no reader can store anything either.
var invalidateScript = redis.NewScript(`
local tomb = tonumber(ARGV[#ARGV])
for i, key in ipairs(KEYS) do
  local old = redis.call('GET', key)
  local known = old and string.find(string.sub(old, 1, 20), '^%d+$')
  if not known or string.sub(old, 1, 20) < ARGV[i] then
    local rest, ttl = string.rep('0', 13), tomb
    if known and string.sub(old, 21, 21) ~= 'n' and #old > 34 then
      rest, ttl = string.sub(old, 22), math.max(tomb, redis.call('PTTL', key))
    end
    local stored = redis.pcall('SET', key, ARGV[i] .. 't' .. rest, 'PX', ttl)
    if stored.err then redis.call('DEL', key) end
  end
end
return #KEYS`)

var errEntry = errors.New("not a cache entry")

func digits(version int64) string { return fmt.Sprintf("%020d", max(version, 0)) }

func (e entry) encode() []byte {
	b := make([]byte, 0, headerBytes+len(e.value))
	b = fmt.Appendf(b, "%020d%c%013d", max(e.version, 0), e.kind, max(e.asOf.UnixMilli(), 0))
	return append(b, e.value...)
}

func decode(b []byte) (entry, error) {
	if len(b) < headerBytes {
		return entry{}, errEntry
	}
	version, err := strconv.ParseInt(string(b[:kindAt]), 10, 64)
	if err != nil {
		return entry{}, errEntry
	}
	asOf, err := strconv.ParseInt(string(b[timeAt:headerBytes]), 10, 64)
	if err != nil {
		return entry{}, errEntry
	}
	e := entry{version: version, kind: b[kindAt], asOf: time.UnixMilli(asOf), value: b[headerBytes:]}
	switch e.kind {
	case kindValue, kindNone, kindTomb:
		return e, nil
	default:
		return entry{}, errEntry
	}
}
