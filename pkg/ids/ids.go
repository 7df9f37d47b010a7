// Package ids makes identifiers. They are UUIDv7: unique without coordination,
// and close in time is close in an index. They do not order events: clocks of
// two machines disagree, so order comes from versions and database identities.
package ids

import (
	"fmt"

	"github.com/google/uuid"
)

// ID is a UUID. The name lets pure packages hold ids without knowing the library.
type ID = uuid.UUID

// New returns a new UUIDv7. It does not fail: the runtime ends a process whose
// random source is broken.
func New() ID {
	return uuid.Must(uuid.NewV7())
}

// Parse reads an id in its canonical form of 36 characters. The other forms
// that the uuid package takes (braces, URN, no dashes) are refused, so that one
// id has one spelling in keys, logs and headers.
func Parse(s string) (ID, error) {
	if len(s) != 36 {
		return uuid.Nil, fmt.Errorf("id %q: want 36 characters, have %d", s, len(s))
	}
	id, err := uuid.Parse(s)
	if err != nil {
		return uuid.Nil, fmt.Errorf("id %q: %w", s, err)
	}
	return id, nil
}
