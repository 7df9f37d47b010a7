package book

import (
	"errors"
	"os"
)

// RefuseWrites makes every write from now on fail, as a full disk would.
func RefuseWrites(b *Book) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	readOnly, err := os.Open(b.file.Name())
	err = errors.Join(err, b.file.Close())
	b.file = readOnly
	return err
}
