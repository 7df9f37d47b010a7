package cache

import (
	"errors"
	"fmt"
	"strconv"
)

// An entry is a header of fixed width, then the value:
//
//	20 digits  version, zero-padded, so that it compares as text in any locale
//	1 byte     kind
const headerBytes = 21

// Kinds of an entry.
const (
	kindValue = 'v' // the value follows
	kindNone  = 'n' // the source has nothing under this key
	kindTomb  = 't' // invalidated: no older version may be stored for a while
)

// putScript stores an entry unless a newer version is there. KEYS[1]; ARGV
// entry, time to live in ms. It answers 1 when it stored. Equal versions are
// stored: a tombstone must give way to the very version that it announced.
const putScript = `
local old = redis.call('GETRANGE', KEYS[1], 0, 19)
if string.find(old, '^%d+$') and old > string.sub(ARGV[1], 1, 20) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`

var errEntry = errors.New("not a cache entry")

func encode(version int64, kind byte, value []byte) []byte {
	b := make([]byte, 0, headerBytes+len(value))
	b = fmt.Appendf(b, "%020d%c", max(version, 0), kind)
	return append(b, value...)
}

func decode(b []byte) (version int64, kind byte, value []byte, err error) {
	if len(b) < headerBytes {
		return 0, 0, nil, errEntry
	}
	version, err = strconv.ParseInt(string(b[:headerBytes-1]), 10, 64)
	if err != nil {
		return 0, 0, nil, errEntry
	}
	switch kind = b[headerBytes-1]; kind {
	case kindValue, kindNone, kindTomb:
		return version, kind, b[headerBytes:], nil
	default:
		return 0, 0, nil, errEntry
	}
}
