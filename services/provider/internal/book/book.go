// Package book is the provider's append-only book: a file with one JSON line
// per movement, the outside witness of what happened to the money.
//
// Invariants:
//   - a line is written (and, unless switched off, fsynced) before Batch.Wait
//     returns; no answer may leave before that;
//   - lines are numbered from 1 without gaps, so a damaged book is noticed;
//   - after a failed write nothing is ever written again: the owner must exit
//     and rebuild itself from the file;
//   - one process owns the file (flock).
package book

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// indexStride is how many lines lie between two remembered offsets: a reader
// that starts anywhere scans at most this many, and an hour at 1,000 orders a
// second needs 56 kB of index.
const indexStride = 1024

// maxLine bounds a line: 50 metadata pairs of 540 bytes fit, escaped.
const maxLine = 1 << 20

// Book appends lines in groups: all lines that arrive while one group is on
// its way to the disk form the next.
type Book struct {
	file *os.File
	sync func(*os.File) error

	mu       sync.Mutex
	open     *Batch // gathering lines
	flushing *Batch // on its way to the disk, nil when none is
	spare    []byte
	seq      int64
	size     int64 // bytes appended
	durable  int64 // bytes that a reader may see
	index    []int64
	closed   bool
	err      error // of the write that ended the book

	wake    chan struct{}
	grown   chan struct{} // closed, and made anew, when durable rises
	stopped chan struct{}
	failed  chan error
}

// Batch is a group of lines that reaches the disk together.
type Batch struct {
	buf  []byte
	done chan struct{}
	err  error
}

// Wait returns when the batch is as durable as the book is configured to be.
func (b *Batch) Wait() error {
	<-b.done
	return b.err
}

// Recovered says what Open found.
type Recovered struct {
	Lines     int64
	TornBytes int64 // of a last line that a crash cut off; it was never answered
}

// Open opens or makes the book, hands every line to apply in order, cuts off
// a torn last line, and starts the writer. Every group of lines is written and
// then synced, with (*os.File).Sync; when that is nil, lines survive the death
// of the process but not of the machine.
func Open(path string, sync func(*os.File) error, apply func(*Entry) error) (*Book, Recovered, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, Recovered{}, fmt.Errorf("open book: %w (set BOOK_FILE to a writable path)", err)
	}
	b := &Book{
		file: file, sync: sync, open: newBatch(nil),
		wake: make(chan struct{}, 1), grown: make(chan struct{}), stopped: make(chan struct{}), failed: make(chan error, 1),
	}
	rec, err := b.recover(apply)
	if err != nil {
		return nil, rec, errors.Join(fmt.Errorf("book %s: %w", path, err), file.Close())
	}
	go b.flushLoop()
	return b, rec, nil
}

func newBatch(buf []byte) *Batch { return &Batch{buf: buf, done: make(chan struct{})} }

func (b *Book) recover(apply func(*Entry) error) (Recovered, error) {
	if err := syscall.Flock(int(b.file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return Recovered{}, fmt.Errorf("another process owns it: %w", err)
	}
	if err := b.load(apply); err != nil {
		return Recovered{}, err
	}
	info, err := b.file.Stat()
	if err != nil {
		return Recovered{}, err
	}
	rec := Recovered{Lines: b.seq, TornBytes: info.Size() - b.size}
	if rec.TornBytes > 0 {
		if err := b.file.Truncate(b.size); err != nil {
			return rec, fmt.Errorf("cut off the torn last line: %w", err)
		}
	}
	if _, err := b.file.Seek(b.size, io.SeekStart); err != nil {
		return rec, err
	}
	b.durable = b.size
	// The file's own name must survive the machine as well as its content.
	dir, err := os.Open(filepath.Dir(b.file.Name()))
	if err != nil {
		return rec, err
	}
	return rec, errors.Join(b.file.Sync(), dir.Sync(), dir.Close())
}

// load reads whole lines; what follows the last newline is torn and left.
func (b *Book) load(apply func(*Entry) error) error {
	r := bufio.NewReaderSize(b.file, maxLine)
	for {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read after line %d: %w", b.seq, err)
		}
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("line %d at byte %d is damaged: %w", b.seq+1, b.size, err)
		}
		if e.Seq != b.seq+1 {
			return fmt.Errorf("line %d at byte %d has number %d: lines are missing", b.seq+1, b.size, e.Seq)
		}
		b.note(len(line))
		if err := apply(&e); err != nil {
			return fmt.Errorf("line %d: %w", e.Seq, err)
		}
	}
}

// note counts a line of n bytes.
func (b *Book) note(n int) {
	if b.seq%indexStride == 0 {
		b.index = append(b.index, b.size)
	}
	b.seq++
	b.size += int64(n)
}

// Append numbers the entry and adds it to the open batch. The order of lines
// is the order of calls; it never blocks on the disk.
func (b *Book) Append(e *Entry) (*Batch, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, os.ErrClosed
	}
	e.Seq = b.seq + 1
	line, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode line: %w", err)
	}
	batch := b.open
	batch.buf = append(append(batch.buf, line...), '\n')
	b.note(len(line) + 1)
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return batch, nil
}

// Pending returns the newest batch that is not on the disk yet. An answer
// that was decided from the state must wait for it.
func (b *Book) Pending() *Batch {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.open.buf) > 0 {
		return b.open
	}
	if b.flushing != nil {
		return b.flushing
	}
	settled := make(chan struct{})
	close(settled)
	return &Batch{done: settled, err: b.err}
}

// Err is the error that ended the book, or nil.
func (b *Book) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// Failed receives the error that stopped the book for good.
func (b *Book) Failed() <-chan error { return b.failed }

func (b *Book) flushLoop() {
	defer close(b.stopped)
	for range b.wake {
		b.mu.Lock()
		batch := b.open
		if len(batch.buf) == 0 {
			b.mu.Unlock()
			continue
		}
		b.flushing, b.open = batch, newBatch(b.spare)
		b.spare = nil
		b.mu.Unlock()
		failure := b.err // only this goroutine sets it
		if failure == nil {
			failure = b.write(batch.buf)
		}
		b.mu.Lock()
		b.flushing, b.spare = nil, batch.buf[:0]
		if failure == nil {
			b.durable += int64(len(batch.buf))
			close(b.grown)
			b.grown = make(chan struct{})
		} else if b.err == nil {
			b.err = fmt.Errorf("write book: %w", failure)
			b.failed <- b.err
		}
		b.mu.Unlock()
		batch.err = failure
		close(batch.done)
	}
}

func (b *Book) write(buf []byte) error {
	if _, err := b.file.Write(buf); err != nil {
		return err
	}
	if b.sync == nil {
		return nil
	}
	return b.sync(b.file)
}

// CopyFrom writes the durable lines from number seq on to w.
func (b *Book) CopyFrom(w io.Writer, seq int64) error {
	seq = max(seq, 1)
	b.mu.Lock()
	end, last := b.durable, b.seq
	slot := int((seq - 1) / indexStride)
	if seq > last || slot >= len(b.index) || b.index[slot] >= end {
		b.mu.Unlock()
		return nil
	}
	start := b.index[slot]
	b.mu.Unlock()
	r := bufio.NewReaderSize(io.NewSectionReader(b.file, start, end-start), 64<<10)
	for range (seq - 1) % indexStride {
		if err := skipLine(r); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
	_, err := r.WriteTo(w)
	return err
}

func skipLine(r *bufio.Reader) error {
	for {
		if _, err := r.ReadSlice('\n'); !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// Close writes what is open and closes the file.
func (b *Book) Close() error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	// Every append left a wake-up behind; a closed channel still delivers it.
	close(b.wake)
	b.mu.Unlock()
	<-b.stopped
	return b.file.Close()
}
