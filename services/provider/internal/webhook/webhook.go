// Package webhook tells an endpoint what happened: every line of the book that
// leads to an event becomes one POST, signed with Stripe's scheme, and is
// repeated with a backoff until it is answered 2xx.
//
//   - The book is the queue: nothing is kept in memory beyond maxPending events,
//     and a cursor in a file says from which line on to go on after a restart. So
//     an event may be sent twice, and is only given up after giveUpAfter.
//   - Events are sent side by side: their order is not kept, as at Stripe.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"example.com/ballast/services/provider/internal/book"
	"example.com/ballast/services/provider/internal/faults"
)

const (
	// maxPending bounds the events in memory, sent or waiting for another attempt;
	// the others wait in the book.
	maxPending = 1024
	// maxCalls bounds the requests in flight.
	maxCalls = 16
	// callTimeout ends one request. An endpoint should store and answer, not work.
	callTimeout = 5 * time.Second
	// An attempt that failed is repeated between nothing and retryDelay doubled each
	// time, at most retryMax. Stripe goes on for three days; here an hour is enough
	// to see what comes of it.
	retryDelay  = 250 * time.Millisecond
	retryMax    = 15 * time.Second
	giveUpAfter = time.Hour
	// APIVersion is what the objects are shaped like; stripe-go refuses another
	// release than its own.
	APIVersion = "2026-03-25.dahlia"
)

// Config of a Sender; all of it is required.
type Config struct {
	URL, Secret string
	Book        *book.Book
	// BookID names the book, in the events' ids and in the cursor.
	BookID string
	// Cursor is the file that says what was delivered.
	Cursor string
	// Event renders a line; false means that it leads to no event.
	Event func(*book.Entry) (kind string, object any, ok bool)
	// Fate chooses what goes wrong with an event.
	Fate   func(event string) faults.Delivery
	Logger *slog.Logger
}

// Sender delivers the events of one book to one endpoint.
type Sender struct {
	cfg   Config
	http  *http.Client
	slots chan struct{} // one for each pending event
	calls chan struct{} // one for each request in flight
	group sync.WaitGroup
	tally *tally
}

// New reads the cursor. Without one, or with one of another book, only what
// happens from now on is told.
func New(cfg Config) (*Sender, error) {
	at, err := readCursor(cfg.Cursor, cfg.BookID)
	if err != nil {
		return nil, err
	}
	if at < 0 {
		at = cfg.Book.Lines()
	}
	s := &Sender{
		cfg: cfg, slots: make(chan struct{}, maxPending), calls: make(chan struct{}, maxCalls), tally: newTally(at),
		http: &http.Client{Timeout: callTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: maxCalls, IdleConnTimeout: time.Minute}},
	}
	return s, writeCursor(cfg.Cursor, cfg.BookID, at)
}

// Run delivers until ctx ends. What was not delivered by then is sent after the
// next start.
func (s *Sender) Run(ctx context.Context) error {
	saving := make(chan struct{})
	go func() {
		defer close(saving)
		s.save(ctx)
	}()
	err := s.cfg.Book.Follow(ctx, s.tally.done()+1, func(e *book.Entry) error { return s.take(ctx, e) })
	s.group.Wait()
	<-saving
	s.http.CloseIdleConnections()
	return errors.Join(err, writeCursor(s.cfg.Cursor, s.cfg.BookID, s.tally.done()))
}

// Told returns when the event of a line was delivered, or given up, or led to
// none, or after a while.
func (s *Sender) Told(ctx context.Context, line int64) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	select {
	case <-s.tally.wait(line):
	case <-ctx.Done():
		s.tally.leave(line)
	}
}

// take starts the delivery of a line, and waits while too many are pending.
func (s *Sender) take(ctx context.Context, e *book.Entry) error {
	kind, object, ok := s.cfg.Event(e)
	if !ok {
		s.tally.skip(e.Seq)
		return nil
	}
	id := fmt.Sprintf("evt_%s%016x", s.cfg.BookID, e.Seq)
	body, err := json.Marshal(event{
		ID: id, Object: "event", APIVersion: APIVersion, Created: e.TimeMilli / 1000, Type: kind,
		Data: data{object}, Request: request{Key: e.Key}, PendingWebhooks: 1,
	})
	if err != nil {
		return fmt.Errorf("encode event of line %d: %w", e.Seq, err)
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return nil
	}
	s.tally.begin(e.Seq)
	s.group.Go(func() {
		defer func() { <-s.slots }()
		if s.deliver(ctx, id, body) {
			s.tally.end(e.Seq)
		}
	})
	return nil
}

// deliver reports whether the event needs no more attempts.
func (s *Sender) deliver(ctx context.Context, id string, body []byte) bool {
	fate := s.cfg.Fate(id)
	secret := s.cfg.Secret
	if fate.Forged {
		secret = "whsec_of_somebody_else"
	}
	began := time.Now()
	wait(ctx, fate.Delay)
	for delay := retryDelay; ctx.Err() == nil; delay = min(2*delay, retryMax) {
		err := s.post(ctx, body, secret)
		if err == nil {
			if fate.Duplicate {
				_ = s.post(ctx, body, secret) // whatever it is answered, once was enough
			}
			return true
		}
		secret = s.cfg.Secret
		if time.Since(began) > giveUpAfter {
			s.cfg.Logger.Error("event given up", "event", id, "error", err)
			return true
		}
		s.cfg.Logger.Debug("event not delivered, trying again", "event", id, "error", err)
		wait(ctx, rand.N(delay))
	}
	return false
}

func (s *Sender) post(ctx context.Context, body []byte, secret string) error {
	select {
	case s.calls <- struct{}{}:
		defer func() { <-s.calls }()
	case <-ctx.Done():
		return ctx.Err()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("Stripe-Signature", Sign(time.Now(), body, secret))
	res, err := s.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.CopyN(io.Discard, res.Body, 4<<10) // so that the connection is used again
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("the endpoint answered %s", res.Status)
	}
	return nil
}

// Sign returns the value of Stripe-Signature: each attempt is signed anew, with
// its own time.
func Sign(now time.Time, body []byte, secret string) string {
	t := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// event is Stripe's event.
type event struct {
	ID              string  `json:"id"`
	Object          string  `json:"object"`
	APIVersion      string  `json:"api_version"`
	Created         int64   `json:"created"`
	Data            data    `json:"data"`
	Livemode        bool    `json:"livemode"`
	PendingWebhooks int     `json:"pending_webhooks"`
	Request         request `json:"request"`
	Type            string  `json:"type"`
}

type data struct {
	Object any `json:"object"`
}

type request struct {
	ID  *string `json:"id"`
	Key string  `json:"idempotency_key"`
}

func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
