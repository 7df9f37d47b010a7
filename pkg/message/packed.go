package message

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// packedVersion is the first byte of every packed batch. Rows written by an
// older release are still in the outbox when a newer one starts, so a change of
// the layout needs a new number and Unpack must go on reading the old ones.
const packedVersion = 1

// ErrPacked says that bytes are not a packed batch.
var ErrPacked = errors.New("not a packed batch of messages")

// AppendPacked appends the packed form of msgs to dst: the version byte, then
// each message as its fields in order, strings and bytes behind their length.
func AppendPacked(dst []byte, msgs []Message) []byte {
	dst = append(dst, packedVersion)
	dst = binary.AppendUvarint(dst, uint64(len(msgs)))
	for i := range msgs {
		dst = appendMessage(dst, &msgs[i])
	}
	return dst
}

func appendMessage(dst []byte, m *Message) []byte {
	dst = appendString(dst, m.ID)
	dst = appendString(dst, m.Type)
	dst = appendString(dst, m.Source)
	// The subject nearly always is the key: an order id less in every row.
	sameSubject := m.Key != nil && m.Subject == string(m.Key)
	dst = appendBool(dst, sameSubject)
	if !sameSubject {
		dst = appendString(dst, m.Subject)
	}
	dst = appendBool(dst, !m.Time.IsZero())
	if !m.Time.IsZero() {
		dst = binary.AppendVarint(dst, m.Time.Unix())
		dst = binary.AppendUvarint(dst, uint64(m.Time.Nanosecond()))
	}
	dst = appendString(dst, m.Topic)
	dst = appendBytes(dst, m.Key)
	dst = appendBytes(dst, m.Value)
	dst = binary.AppendVarint(dst, m.Version)
	dst = appendString(dst, m.TraceParent)
	dst = binary.AppendUvarint(dst, uint64(len(m.Extra)))
	for _, h := range m.Extra {
		dst = appendString(dst, h.Key)
		dst = appendBytes(dst, h.Value)
	}
	return dst
}

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// appendBytes writes the length plus one, because nil and empty mean different
// things to Kafka: a nil value is a tombstone.
func appendBytes(dst, b []byte) []byte {
	if b == nil {
		return append(dst, 0)
	}
	return append(binary.AppendUvarint(dst, uint64(len(b))+1), b...)
}

// Unpack decodes what AppendPacked wrote. Keys, values and extra headers share
// b's memory.
func Unpack(b []byte) ([]Message, error) {
	r := reader{rest: b}
	if v := r.take(1); v == nil || v[0] != packedVersion {
		return nil, fmt.Errorf("%w: format version %v, want %d", ErrPacked, v, packedVersion)
	}
	// Eight bytes are less than any message takes, so that a corrupt count can't
	// ask for more memory than the input justifies.
	n := r.count(8)
	msgs := make([]Message, 0, n)
	for range n {
		msgs = append(msgs, r.message())
	}
	if r.failed || len(r.rest) != 0 {
		return nil, fmt.Errorf("%w: %d bytes, stopped with %d left", ErrPacked, len(b), len(r.rest))
	}
	return msgs, nil
}

// reader takes fields off the front of rest. After the first field that does
// not fit it has failed and gives zero values.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) message() Message {
	m := Message{ID: r.string(), Type: r.string(), Source: r.string()}
	sameSubject := r.bool()
	if !sameSubject {
		m.Subject = r.string()
	}
	if r.bool() {
		m.Time = time.Unix(r.varint(), int64(r.uvarint())).UTC()
	}
	m.Topic = r.string()
	m.Key = r.bytes()
	if sameSubject {
		m.Subject = string(m.Key)
	}
	m.Value = r.bytes()
	m.Version = r.varint()
	m.TraceParent = r.string()
	if n := r.count(2); n > 0 {
		m.Extra = make([]kgo.RecordHeader, n)
		for i := range m.Extra {
			m.Extra[i] = kgo.RecordHeader{Key: r.string(), Value: r.bytes()}
		}
	}
	return m
}

func (r *reader) take(n uint64) []byte {
	if r.failed || n > uint64(len(r.rest)) {
		r.failed = true
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) bool() bool {
	b := r.take(1)
	return b != nil && b[0] == 1
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	r.take(uint64(max(n, 0)))
	r.failed = r.failed || n <= 0
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	r.take(uint64(max(n, 0)))
	r.failed = r.failed || n <= 0
	return v
}

// count reads how many items follow, each of at least size bytes.
func (r *reader) count(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.rest)/size) {
		r.failed = true
		return 0
	}
	return int(n)
}

func (r *reader) string() string { return string(r.take(r.uvarint())) }

func (r *reader) bytes() []byte {
	n := r.uvarint()
	if n == 0 {
		return nil
	}
	b := r.take(n - 1)
	if b == nil && !r.failed {
		return bytes.Clone([]byte{})
	}
	return b
}
