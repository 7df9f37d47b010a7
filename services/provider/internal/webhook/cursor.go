package webhook

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

// saveEvery is how often the cursor is written, and so how much is told again
// after a kill.
const saveEvery = time.Second

// save writes the cursor as it moves on.
func (s *Sender) save(ctx context.Context) {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for last := s.tally.done(); ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		at := s.tally.done()
		if at == last {
			continue
		}
		if err := writeCursor(s.cfg.Cursor, s.cfg.BookID, at); err != nil {
			s.cfg.Logger.Warn("what was delivered could not be noted; it may be sent again", "error", err)
			continue
		}
		last = at
	}
}

// readCursor returns the number of the line up to which all was delivered, or -1
// when nothing is known about this book.
func readCursor(file, book string) (int64, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return -1, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read cursor of the webhooks: %w", err)
	}
	var of string
	var at int64
	if _, err := fmt.Sscan(string(text), &of, &at); err != nil || of != book || at < 0 {
		return -1, nil //nolint:nilerr // written by nobody, or for another book
	}
	return at, nil
}

// writeCursor replaces the file in one step.
func writeCursor(file, book string, at int64) error {
	err := os.WriteFile(file+".new", fmt.Appendf(nil, "%s %d\n", book, at), 0o600)
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	if err != nil {
		return fmt.Errorf("write cursor of the webhooks: %w", err)
	}
	return nil
}

// tally knows which lines are done: all up to the last one taken, less those
// under way.
type tally struct {
	mu      sync.Mutex
	taken   int64
	pending map[int64]struct{}
	waiting map[int64]chan struct{}
}

func newTally(at int64) *tally {
	return &tally{taken: at, pending: map[int64]struct{}{}, waiting: map[int64]chan struct{}{}}
}

func (t *tally) begin(line int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken = line
	t.pending[line] = struct{}{}
}

func (t *tally) skip(line int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken = line
	t.release(line)
}

func (t *tally) end(line int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.pending, line)
	t.release(line)
}

func (t *tally) release(line int64) {
	if c, ok := t.waiting[line]; ok {
		close(c)
		delete(t.waiting, line)
	}
}

// wait returns a channel that closes when the line is done.
func (t *tally) wait(line int64) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, ok := t.waiting[line]
	if !ok {
		c = make(chan struct{})
		t.waiting[line] = c
	}
	if _, under := t.pending[line]; line <= t.taken && !under {
		t.release(line)
	}
	return c
}

func (t *tally) leave(line int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.waiting, line)
}

// done is the number of the line up to which all is done.
func (t *tally) done() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.taken
	for line := range t.pending {
		at = min(at, line-1)
	}
	return at
}
