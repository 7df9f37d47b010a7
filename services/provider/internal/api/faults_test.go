package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85"

	"example.com/ballast/services/provider/internal/api"
	"example.com/ballast/services/provider/internal/book"
	"example.com/ballast/services/provider/internal/faults"
)

// lines reads the book over HTTP.
func (b bundle) lines(t *testing.T) []book.Entry {
	t.Helper()
	res, err := http.Get(b.url + "/book?from=1")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var all []book.Entry
	for dec := json.NewDecoder(res.Body); dec.More(); {
		var e book.Entry
		if err := dec.Decode(&e); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func (b bundle) captures(t *testing.T, id string) (n int) {
	t.Helper()
	for _, e := range b.lines(t) {
		if e.Kind == book.Captured && e.Intent == id {
			n++
		}
	}
	return n
}

// Many callers race with the same key: one does the work, the others are told
// to wait or get its answer.
func TestOneKeyOneCapture(t *testing.T) {
	t.Parallel()
	b := setup(t, faults.Settings{LatencyMilli: 200})
	pi := b.mustCreate(t, "a", 1000, "pm_card_visa")
	var first, stored, busy atomic.Int64
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			got, err := b.confirm(t.Context(), "k", pi.ID)
			var se *stripe.Error
			switch {
			case err == nil && replayed(got.LastResponse):
				stored.Add(1)
			case err == nil:
				first.Add(1)
			case errors.As(err, &se) && se.HTTPStatusCode == 409 && se.Code == stripe.ErrorCodeIdempotencyKeyInUse:
				busy.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if first.Load() != 1 || b.captures(t, pi.ID) != 1 || first.Load()+stored.Load()+busy.Load() != 30 {
		t.Errorf("%d first, %d replayed, %d busy, %d captures", first.Load(), stored.Load(), busy.Load(), b.captures(t, pi.ID))
	}
	if busy.Load() == 0 {
		t.Error("nobody met the key in use: the test proves nothing")
	}
}

// Many callers race with different keys on one intent.
func TestManyKeysOneCapture(t *testing.T) {
	t.Parallel()
	b := setup(t, faults.Settings{})
	pi := b.mustCreate(t, "a", 1000, "pm_card_visa")
	var succeeded, refunded atomic.Int64
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if _, err := b.confirm(t.Context(), fmt.Sprint("k", i), pi.ID); err == nil {
				succeeded.Add(1)
			}
			if r, err := b.refund(t, fmt.Sprint("r", i), pi.ID, 300); err == nil {
				refunded.Add(r.Amount)
			}
		})
	}
	wg.Wait()
	if succeeded.Load() != 1 || b.captures(t, pi.ID) != 1 || refunded.Load() != 900 {
		t.Errorf("%d confirmations, %d refunded", succeeded.Load(), refunded.Load())
	}
}

func TestErrorsAreStoredAndDoNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, faults.Settings{ErrorRate: 1})
	_, err := b.create(t, "a", 500, "pm_card_visa")
	want(t, err, 500, stripe.ErrorTypeAPI, "")
	b.faults.Set(faults.Settings{})
	_, err = b.create(t, "a", 500, "pm_card_visa")
	if se := want(t, err, 500, stripe.ErrorTypeAPI, ""); !replayed(se.LastResponse) {
		t.Error("the stored 500 must be replayed")
	}
	if intents, _ := b.bank.Counts(); intents != 0 {
		t.Errorf("%d intents", intents)
	}
	b.mustCreate(t, "a2", 500, "pm_card_visa")
}

func TestChargeThenError(t *testing.T) {
	t.Parallel()
	b := setup(t, faults.Settings{ChargeErrorRate: 1})
	pi := b.mustCreate(t, "a", 500, "pm_card_visa")
	for range 2 {
		_, err := b.confirm(t.Context(), "k", pi.ID)
		want(t, err, 500, stripe.ErrorTypeAPI, "")
	}
	b.faults.Set(faults.Settings{})
	if s := b.status(t, pi.ID); s != "succeeded" || b.captures(t, pi.ID) != 1 {
		t.Errorf("status %s, %d captures", s, b.captures(t, pi.ID))
	}
}

func TestChargeThenTimeout(t *testing.T) {
	t.Parallel()
	b := setup(t, faults.Settings{ChargeTimeoutRate: 1, HangMilli: 60_000})
	pi := b.mustCreate(t, "a", 500, "pm_card_visa")
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := b.confirm(ctx, "k", pi.ID); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	b.waitForCapture(t, pi.ID)
	// The answer was lost on its way; under the key it is kept.
	got, err := b.confirm(t.Context(), "k", pi.ID)
	if err != nil || got.Status != "succeeded" || !replayed(got.LastResponse) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestDeclineRate(t *testing.T) {
	t.Parallel()
	b := setup(t, faults.Settings{DeclineRate: 1})
	pi := b.mustCreate(t, "a", 500, "pm_card_visa")
	_, err := b.confirm(t.Context(), "k", pi.ID)
	want(t, err, 402, stripe.ErrorTypeCard, "card_declined")
	if b.captures(t, pi.ID) != 0 {
		t.Error("captured")
	}
}

func TestRateLimitAndOutages(t *testing.T) {
	t.Parallel()
	b := setup(t, faults.Settings{RatePerSecond: .001})
	b.mustCreate(t, "a", 500, "pm_card_visa")
	_, err := b.create(t, "b", 500, "pm_card_visa")
	want(t, err, 429, stripe.ErrorTypeInvalidRequest, "rate_limit")

	b.faults.Set(faults.Settings{Outage: faults.OutageError})
	_, err = b.create(t, "b", 500, "pm_card_visa")
	want(t, err, 503, stripe.ErrorTypeAPI, "")

	b.faults.Set(faults.Settings{Outage: faults.OutageReset})
	var se *stripe.Error
	if _, err = b.create(t, "b", 500, "pm_card_visa"); err == nil || errors.As(err, &se) {
		t.Errorf("reset: %v", err)
	}
	b.faults.Set(faults.Settings{Outage: faults.OutageHang})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err = b.confirm(ctx, "k", "pi_1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("hang: %v", err)
	}
	// The witness stays, and none of this was stored under the key.
	if n := len(b.lines(t)); n != 2 {
		t.Errorf("%d lines in the book", n)
	}
	b.faults.Set(faults.Settings{})
	b.mustCreate(t, "b", 500, "pm_card_visa")
}

// An hour of one caller's patience must not be a goroutine of ours: a call whose
// caller has gone is done and forgotten.
func TestCallerThatLeavesStillHasItsCallDone(t *testing.T) {
	t.Parallel()
	b := setup(t, faults.Settings{})
	pi := b.mustCreate(t, "a", 500, "pm_card_visa")
	b.faults.Set(faults.Settings{LatencyMilli: 3_600_000})
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := b.confirm(ctx, "k", pi.ID); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	b.faults.Set(faults.Settings{})
	b.waitForCapture(t, pi.ID)
}

// waitForCapture polls until the intent's one capture is there: its caller may
// have gone before the provider had it done.
func (b bundle) waitForCapture(t *testing.T, id string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for b.status(t, id) != "succeeded" {
		if time.Now().After(deadline) {
			t.Fatal("the call was dropped with its caller")
		}
	}
	if n := b.captures(t, id); n != 1 {
		t.Errorf("%d captures", n)
	}
}

func TestFaultsAreSetAtRunTime(t *testing.T) {
	t.Parallel()
	f := faults.New(1, faults.Settings{})
	server := httptest.NewServer(api.Admin(f, slog.New(slog.DiscardHandler)))
	t.Cleanup(server.Close)
	put := func(body string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+"/faults", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		_, err = out.ReadFrom(res.Body)
		if err = errors.Join(err, res.Body.Close()); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, out.String()
	}
	if code, body := put(`{"decline_rate":0.25}`); code != 200 || !strings.Contains(body, `"decline_rate":0.25`) {
		t.Errorf("%d %s", code, body)
	}
	if code, body := put(`{"decline_rate":25}`); code != 400 || !strings.Contains(body, "use 0 to 1") {
		t.Errorf("%d %s", code, body)
	}
	if got := f.Settings().DeclineRate; got != .25 {
		t.Errorf("a refused change changed the rate to %v", got)
	}
	if code, _ := put(`{}`); code != 200 || f.Settings().DeclineRate != 0 {
		t.Error("an empty object heals all")
	}
}
