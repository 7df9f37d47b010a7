package outbox

import (
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"example.com/ballast/pkg/lease"
	"example.com/ballast/pkg/testkit"
)

// lines is a log that many write.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) has(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), s)
}

// A broker that takes requests and answers none: the breaker opens, what is
// queued waits in the database, and when the broker answers again the log has
// everything once and in order.
func TestASilentBrokerOpensTheBreaker(t *testing.T) {
	t.Parallel()
	b, c := faulty(t)
	var requests atomic.Int64
	answer := make(chan struct{})
	c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		requests.Add(1)
		c.SleepControl(func() { <-answer })
		return nil, nil, false
	})
	var log lines
	r := NewRelay(Config{
		Pool: b.pool, Client: b.client, Lease: lease.New(b.pool, "outbox", "one", 2*time.Second),
		Logger: slog.New(slog.NewTextHandler(&log, nil)), AckPatience: 50 * time.Millisecond,
	})
	b.run(r)
	b.queue(b.msg("a", 1))
	testkit.Eventually(t, "the breaker opens", func() bool { return r.guard.State() == "open" })
	for v := int64(2); v <= 50; v++ {
		b.queue(b.msg("a", v))
		r.Signal()
	}
	testkit.Eventually(t, "the relay probes", func() bool { return log.has("from_state=half-open to_state=open") })
	if n := requests.Load(); n != 1 {
		t.Errorf("%d produce requests while the broker was silent, want the one that it did not answer", n)
	}
	if rows := b.count("outbox"); rows != 50 {
		t.Errorf("%d rows wait, want 50", rows)
	}
	close(answer)
	testkit.Eventually(t, "outbox is empty", b.empty)
	inOrder(t, b.log(b.topic), 1, 50)
	if r.guard.State() == "open" {
		t.Error("the breaker is still open")
	}
	for _, line := range []string{"from_state=closed to_state=open", "from_state=half-open to_state=closed", "outbox is waiting for kafka"} {
		if !log.has(line) {
			t.Errorf("not logged: %s", line)
		}
	}
}
