package webhook_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85"
	stripehook "github.com/stripe/stripe-go/v85/webhook"

	"example.com/ballast/services/provider/internal/book"
	"example.com/ballast/services/provider/internal/faults"
	"example.com/ballast/services/provider/internal/webhook"
)

const secret = "whsec_right"

// endpoint is what events are sent to. It checks them with Stripe's own client.
type endpoint struct {
	t      *testing.T
	server *httptest.Server

	mu      sync.Mutex
	refuse  int // this many requests are answered 500
	forged  int
	refused int
	came    []string // ids of events that were answered 200
	more    chan struct{}
}

func newEndpoint(t *testing.T, refuse int) *endpoint {
	e := &endpoint{t: t, refuse: refuse, more: make(chan struct{}, 10_000)}
	e.server = httptest.NewServer(e)
	t.Cleanup(e.server.Close)
	return e
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		e.t.Error(err)
	}
	event, err := stripehook.ConstructEvent(body, r.Header.Get("Stripe-Signature"), secret)
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case err != nil:
		e.forged++
		w.WriteHeader(http.StatusBadRequest)
	case e.refuse > 0:
		e.refuse--
		e.refused++
		e.more <- struct{}{}
		w.WriteHeader(http.StatusInternalServerError)
	default:
		if event.Type != "payment_intent.succeeded" || event.APIVersion != stripe.APIVersion {
			e.t.Errorf("event %s of version %s", event.Type, event.APIVersion)
		}
		e.came = append(e.came, event.ID)
		e.more <- struct{}{}
	}
}

// await returns what came once it is n events, each counted once unless
// repetitions count.
func (e *endpoint) await(n int, repetitions bool) []string {
	e.t.Helper()
	for {
		e.mu.Lock()
		came := e.came
		e.mu.Unlock()
		if repetitions && len(came) >= n || len(distinct(came)) >= n {
			return came
		}
		select {
		case <-e.more:
		case <-time.After(20 * time.Second):
			e.t.Fatalf("%d events came, want %d", len(came), n)
		}
	}
}

type bundle struct {
	*webhook.Sender
	book *book.Book
	stop func()
}

func start(t *testing.T, dir string, to *endpoint, fate faults.Delivery) bundle {
	t.Helper()
	b, _, err := book.Open(filepath.Join(dir, "book"), nil, func(*book.Entry) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	s, err := webhook.New(webhook.Config{
		URL: to.server.URL, Secret: secret, Book: b, BookID: "0badcafe", Cursor: filepath.Join(dir, "told"),
		Event: func(e *book.Entry) (string, any, bool) {
			return "payment_intent.succeeded", map[string]string{"id": e.Intent}, e.Kind == book.Captured
		},
		Fate: func(string) faults.Delivery { return fate }, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return bundle{Sender: s, book: b, stop: stop}
}

// capture appends n captures, each behind a line that leads to no event, and
// returns the number of the last one.
func (b bundle) capture(t *testing.T, n int) int64 {
	t.Helper()
	for range n {
		for _, kind := range []book.Kind{book.Created, book.Captured} {
			if _, err := b.book.Append(&book.Entry{Kind: kind, Intent: "pi", TimeMilli: 1000}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := b.book.Pending().Wait(); err != nil {
		t.Fatal(err)
	}
	return b.book.Lines()
}

func distinct(ids []string) map[string]int {
	set := map[string]int{}
	for _, id := range ids {
		set[id]++
	}
	return set
}

func TestEveryEventIsToldUntilItIsTaken(t *testing.T) {
	t.Parallel()
	to := newEndpoint(t, 20)
	b := start(t, t.TempDir(), to, faults.Delivery{})
	b.capture(t, 50)
	if got := distinct(to.await(50, false)); len(got) != 50 || got[fmt.Sprintf("evt_0badcafe%016x", 100)] != 1 {
		t.Errorf("%d events: %v", len(got), got)
	}
}

// A storm is taken from the book a thousand at a time; nothing is lost.
func TestAStormIsTakenFromTheBook(t *testing.T) {
	t.Parallel()
	to := newEndpoint(t, 0)
	b := start(t, t.TempDir(), to, faults.Delivery{})
	b.capture(t, 3000)
	if got := distinct(to.await(3000, false)); len(got) != 3000 {
		t.Errorf("%d events, want 3000", len(got))
	}
}

func TestARestartGoesOn(t *testing.T) {
	t.Parallel()
	dir, to := t.TempDir(), newEndpoint(t, 0)
	b := start(t, dir, to, faults.Delivery{})
	b.capture(t, 5)
	to.await(5, false)
	b.stop()
	to.mu.Lock()
	to.refuse = 1000 // away until the sender is gone again
	to.mu.Unlock()
	b = start(t, dir, to, faults.Delivery{})
	b.capture(t, 5)
	for tried := 0; tried < 5; {
		<-to.more
		to.mu.Lock()
		tried = to.refused
		to.mu.Unlock()
	}
	b.stop()
	to.mu.Lock()
	to.refuse = 0
	to.mu.Unlock()
	start(t, dir, to, faults.Delivery{})
	if got := distinct(to.await(10, false)); len(got) != 10 {
		t.Errorf("%d events after two restarts, want each of 10", len(got))
	}
}

// An endpoint that is new to a book is not told its history.
func TestHistoryIsNotTold(t *testing.T) {
	t.Parallel()
	dir, to := t.TempDir(), newEndpoint(t, 0)
	b := start(t, dir, to, faults.Delivery{})
	b.capture(t, 3)
	to.await(3, false)
	b.stop()
	if err := os.WriteFile(filepath.Join(dir, "told"), []byte("another 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b = start(t, dir, to, faults.Delivery{})
	b.capture(t, 1)
	if got := to.await(4, false); !strings.HasSuffix(got[len(got)-1], "8") {
		t.Errorf("told: %v", got)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	to := newEndpoint(t, 0)
	b := start(t, t.TempDir(), to, faults.Delivery{Duplicate: true, Forged: true, Delay: 10 * time.Millisecond})
	b.capture(t, 10)
	for id, n := range distinct(to.await(20, true)) {
		if n != 2 {
			t.Errorf("event %s came %d times, want twice", id, n)
		}
	}
	if to.forged != 10 {
		t.Errorf("%d forged events, want 10", to.forged)
	}
}

// Told is how an answer waits for its event; a line without one is not waited for.
func TestTold(t *testing.T) {
	t.Parallel()
	to := newEndpoint(t, 0)
	b := start(t, t.TempDir(), to, faults.Delivery{Delay: 50 * time.Millisecond})
	last := b.capture(t, 1)
	began := time.Now()
	b.Told(t.Context(), last-1)
	b.Told(t.Context(), last)
	if len(to.await(1, false)) != 1 || time.Since(began) < 50*time.Millisecond {
		t.Error("told before the event was delivered")
	}
	b.Told(t.Context(), last)
}
