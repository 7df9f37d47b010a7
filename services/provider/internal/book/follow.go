package book

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Lines is the number of lines appended so far.
func (b *Book) Lines() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seq
}

// Follow hands every durable line from number seq on to fn, in order, and then
// those that come, until ctx ends or fn fails. The file is the queue: an fn that
// blocks costs no memory, however much is written meanwhile.
func (b *Book) Follow(ctx context.Context, seq int64, fn func(*Entry) error) error {
	at, skip := b.place(max(seq, 1))
	for {
		end, grown := b.end()
		r := bufio.NewReader(io.NewSectionReader(b.file, at, max(0, end-at)))
		for ctx.Err() == nil {
			line, err := r.ReadBytes('\n')
			if errors.Is(err, io.EOF) {
				break // Only whole lines are durable.
			}
			if err != nil {
				return fmt.Errorf("follow book: %w", err)
			}
			at += int64(len(line))
			if skip > 0 {
				skip--
				continue
			}
			var e Entry
			if err := json.Unmarshal(line, &e); err != nil {
				return fmt.Errorf("follow book: byte %d: %w", at, err)
			}
			if err := fn(&e); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-grown:
		}
	}
}

// place finds a line: a remembered offset and the number of lines behind it.
func (b *Book) place(seq int64) (at, skip int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.index) == 0 {
		return 0, seq - 1
	}
	slot := min((seq-1)/indexStride, int64(len(b.index)-1))
	return b.index[slot], seq - 1 - slot*indexStride
}

// end is how far a reader may read, and a channel that closes when it is further.
func (b *Book) end() (durable int64, grown <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.durable, b.grown
}
