package stack

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// maxLogBytes caps a child's log; one older part of the same size is kept.
const maxLogBytes = 16 << 20

// Console prints the lines that a person reads while a stack starts and runs,
// each with the seconds since the beginning.
type Console struct {
	mu    sync.Mutex
	out   io.Writer
	began time.Time
}

// NewConsole prints to out.
func NewConsole(out io.Writer) *Console {
	return &Console{out: out, began: time.Now()}
}

// Printf prints one line.
func (c *Console) Printf(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(c.out, "%6.1fs  %s\n", time.Since(c.began).Seconds(), fmt.Sprintf(format, args...))
}

// Elapsed is the time since the console was made.
func (c *Console) Elapsed() time.Duration { return time.Since(c.began) }

// openLog opens a child's log for appending. The child writes to the file
// itself: no byte passes through the supervisor, and none is lost with it.
func openLog(file string) (*os.File, error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return f, nil
}

// capLog moves a log that has grown beyond limit aside and empties it. The
// child holds the file open, so the content is copied and not renamed; what it
// writes between the copy and the truncation is lost, which a log can bear.
func capLog(file string, limit int64) error {
	info, err := os.Stat(file)
	if err != nil || info.Size() <= limit {
		return err
	}
	src, err := os.Open(file)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.Create(file + ".1")
	if err != nil {
		return err
	}
	if _, err := io.Copy(dst, src); err != nil {
		_ = dst.Close()
		return err
	}
	if err := dst.Close(); err != nil {
		return err
	}
	return os.Truncate(file, 0)
}

// tail returns the last lines of a log, indented, for an error message.
func tail(file string, lines int) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	const window = 8 << 10
	if info, err := f.Stat(); err == nil && info.Size() > window {
		_, _ = f.Seek(-window, io.SeekEnd)
	}
	b, _ := io.ReadAll(f)
	all := strings.Split(string(bytes.TrimSpace(b)), "\n")
	all = all[max(0, len(all)-lines):]
	return "    " + strings.Join(all, "\n    ")
}
