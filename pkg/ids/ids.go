// Package ids makes identifiers. They are UUIDv7: unique without coordination,
// and close in time is close in an index. They do not order events: clocks of
// two machines disagree, so order comes from versions and database identities.
package ids

import (
	"errors"
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
// id has one spelling in keys, logs and headers. The error does not quote what it
// was given, which may be anything.
func Parse(s string) (ID, error) {
	if len(s) != 36 {
		return uuid.Nil, fmt.Errorf("an id has 36 characters, not %d", len(s))
	}
	id, err := uuid.Parse(s)
	if err != nil {
		return uuid.Nil, errors.New("an id of 36 characters is no UUID")
	}
	return id, nil
}
