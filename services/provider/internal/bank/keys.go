package bank

import (
	"crypto/sha256"
	"errors"
	"time"
)

// Errors of Claim; neither stores anything under the key.
var (
	// ErrKeyInUse means that the first call with this key is still running.
	ErrKeyInUse = errors.New("idempotency key in use")
	// ErrKeyMismatch means that the key was used with other parameters.
	ErrKeyMismatch = errors.New("idempotency key used with other parameters")
)

// keyHash stands for an idempotency key: 16 bytes of SHA-256, so that memory
// does not depend on the length of keys.
type keyHash [16]byte

func hashKey(key string) keyHash {
	sum := sha256.Sum256([]byte(key))
	return keyHash(sum[:16])
}

// result is the first answer given under a key. It holds what differs between
// answers; the rest is read from the intent or refund that ref points at. It
// has no pointers, so the garbage collector never looks inside the maps.
type result struct {
	fingerprint uint64
	ref         uint32 // index of the intent, or of the refund
	at          uint32 // unix seconds
	kind        kind
	code        uint8 // of the error that was answered
	lost        bool
	status      status // of the intent at that moment, with
	used        uint8  // the method of its newest confirmation
	decline     uint8  // and why that was declined
}

// keyring remembers results for at least ttl and at most twice that: when the
// younger generation is ttl old, the older one is dropped as a whole.
type keyring struct {
	ttl          time.Duration
	young, old   map[keyHash]result
	youngStarted uint32
	inFlight     map[keyHash]struct{}
}

func newKeyring(ttl time.Duration) *keyring {
	return &keyring{ttl: ttl, young: map[keyHash]result{}, inFlight: map[keyHash]struct{}{}}
}

func (k *keyring) ttlSeconds() uint32 { return uint32(k.ttl / time.Second) }

func (k *keyring) put(h keyHash, r result) {
	if r.at-k.youngStarted >= k.ttlSeconds() {
		k.old, k.young, k.youngStarted = k.young, map[keyHash]result{}, r.at
	}
	k.young[h] = r
}

// get returns what is stored under the key and has not expired at now.
func (k *keyring) get(h keyHash, now uint32) (result, bool) {
	r, ok := k.young[h]
	if !ok {
		r, ok = k.old[h]
	}
	return r, ok && now-r.at < k.ttlSeconds()
}
