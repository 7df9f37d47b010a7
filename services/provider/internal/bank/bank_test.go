package bank_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"example.com/ballast/services/provider/internal/bank"
	"example.com/ballast/services/provider/internal/book"
)

// clock is moved by the test.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func open(t testing.TB, dir string, c *clock, max int) *bank.Bank {
	t.Helper()
	b, _, err := bank.Open(bank.Config{
		BookFile: filepath.Join(dir, "book"), KeyTTL: 24 * time.Hour, MaxIntents: max, Now: c.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Book().Close() })
	return b
}

func start() *clock { return &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

// do claims the key and executes, as the API does.
func do(t testing.TB, b *bank.Bank, c bank.Call) bank.Answer {
	t.Helper()
	if c.Key != "" {
		stored, err := b.Claim(c.Key, c.Fingerprint)
		if err != nil {
			t.Fatal(err)
		}
		if stored != nil {
			return *stored
		}
	}
	a, err := b.Execute(c)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func create(t testing.TB, b *bank.Bank, key string) string {
	t.Helper()
	return do(t, b, bank.Call{
		Op: bank.Create, Key: key, Amount: 1000, Currency: "gbp", Method: "pm_card_visa",
		Metadata: fmt.Sprintf(`{"order_id":%q}`, uuid.Must(uuid.NewV7())),
	}).Intent.ID
}

func TestKeysExpire(t *testing.T) {
	t.Parallel()
	c := start()
	b := open(t, t.TempDir(), c, 100)
	first := create(t, b, "k")
	c.now = c.now.Add(24*time.Hour - time.Second)
	if got := create(t, b, "k"); got != first {
		t.Errorf("a second before it expires the key gave %s, want %s", got, first)
	}
	c.now = c.now.Add(time.Second)
	if got := create(t, b, "k"); got == first {
		t.Error("an expired key gave the old answer")
	}
	// Two generations later nothing old is left in memory, and a new key works.
	for i := range 4 {
		c.now = c.now.Add(25 * time.Hour)
		create(t, b, fmt.Sprint(i))
	}
	if n := b.KeysHeld(); n > 2 {
		t.Errorf("%d keys are held after four days of one key a day", n)
	}
}

func TestClockSetBack(t *testing.T) {
	t.Parallel()
	c := start()
	b := open(t, t.TempDir(), c, 100)
	first := create(t, b, "k")
	c.now = c.now.Add(-time.Hour)
	second := create(t, b, "l")
	if got := create(t, b, "k"); got != first {
		t.Error("the key was lost when the clock was set back")
	}
	list, _, _, err := b.List(bank.Page{Limit: 10, CreatedUpTo: start().now.Unix()})
	if err != nil || len(list) != 2 || list[0].ID != second || list[0].Created != start().now.Unix() {
		t.Errorf("got %+v, %v", list, err)
	}
}

func TestFull(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir(), start(), 1)
	create(t, b, "a")
	_, err := b.Execute(bank.Call{Op: bank.Create, Amount: 100, Currency: "gbp"})
	if !errors.Is(err, bank.ErrFull) || !strings.Contains(err.Error(), "MAX_INTENTS") {
		t.Fatalf("got %v", err)
	}
}

// What could not be written must not be seen: not by a read, not by a replay.
func TestNothingIsToldThatIsNotInTheBook(t *testing.T) {
	t.Parallel()
	var full atomic.Bool
	b, _, err := bank.Open(bank.Config{
		BookFile: filepath.Join(t.TempDir(), "book"), KeyTTL: time.Hour, MaxIntents: 10, Now: time.Now,
		Sync: func(*os.File) error {
			if full.Load() {
				return errors.New("no space left")
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Book().Close() })
	id := create(t, b, "a")
	full.Store(true)
	if _, err := b.Execute(bank.Call{Op: bank.Confirm, Key: "k", Intent: id}); err == nil {
		t.Error("confirmed")
	}
	full.Store(false)
	if v, _, err := b.Get(id); err == nil {
		t.Errorf("read as %+v", v)
	}
	if list, _, _, err := b.List(bank.Page{Limit: 1, CreatedUpTo: 1 << 40}); err == nil {
		t.Errorf("listed as %+v", list)
	}
	if _, _, _, err := b.ListRefunds(bank.Page{Limit: 1, CreatedUpTo: 1 << 40}); err == nil {
		t.Error("refunds listed")
	}
	if a, err := b.Claim("k", 0); err == nil {
		t.Errorf("replayed as %+v", a)
	}
}

// The ids of a book that was thrown away must not point into the next one.
func TestIDsBelongToTheirBook(t *testing.T) {
	t.Parallel()
	old := create(t, open(t, t.TempDir(), start(), 10), "a")
	b := open(t, t.TempDir(), start(), 10)
	create(t, b, "a")
	if _, ok, err := b.Get(old); ok || err != nil {
		t.Errorf("found %s of another book (%v)", old, err)
	}
}

// Random calls, with random restarts: the answer of every key stays what it
// was, refunds never exceed captures, nothing is captured twice, and the book
// tells the same story as the state.
func TestRestartsChangeNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		dir, c := t.TempDir(), start()
		b := open(t, dir, c, 1000)
		ids := []string{create(t, b, "first")}
		answers := map[string]string{}
		calls := map[string]bank.Call{}
		for i := range rapid.IntRange(1, 40).Draw(r, "calls") {
			c.now = c.now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(r, "ms")) * time.Millisecond)
			call := bank.Call{
				Op: rapid.SampledFrom([]bank.Op{
					bank.Create, bank.Confirm, bank.Confirm, bank.Cancel, bank.Refund, bank.Refund,
				}).Draw(r, "op"),
				Key: fmt.Sprint("key", i), Fingerprint: uint64(i),
				Intent:   rapid.SampledFrom(ids).Draw(r, "intent"),
				Amount:   rapid.Int64Range(1, 1200).Draw(r, "amount"),
				Currency: "gbp",
				Method: rapid.SampledFrom([]string{
					"", "pm_card_visa", "pm_card_visa_chargeDeclined", "pm_card_visa_chargeDeclinedLostCard",
				}).Draw(r, "method"),
				Metadata: rapid.SampledFrom([]string{
					"", `{"a":"b","order_id":"not a uuid"}`, `{"order_id":"0190a1b2-0000-7000-8000-00000000000a"}`,
					`{"order_id":"0190A1B2-0000-7000-8000-00000000000A"}`,
				}).Draw(r, "metadata"),
				Fate: bank.Fate{
					Fail: rapid.IntRange(0, 9).Draw(r, "fail") == 0, Lose: rapid.IntRange(0, 4).Draw(r, "lose") == 0,
					Decline: rapid.IntRange(0, 4).Draw(r, "decline") == 0,
				},
			}
			a := do(t, b, call)
			if call.Op == bank.Create && a.Intent != nil {
				ids = append(ids, a.Intent.ID)
			}
			answers[call.Key], calls[call.Key] = show(t, a), call
			if rapid.IntRange(0, 9).Draw(r, "restart") == 0 {
				b = reopen(t, dir, c, b)
			}
		}
		before := state(t, b)
		b = reopen(t, dir, c, b)
		if diff := cmp.Diff(before, state(t, b)); diff != "" {
			r.Fatalf("the restart changed the state: %s", diff)
		}
		for key, want := range answers {
			if diff := cmp.Diff(want, show(t, do(t, b, calls[key]))); diff != "" {
				r.Fatalf("%+v was answered differently: %s", calls[key], diff)
			}
		}
		if diff := cmp.Diff(before, state(t, b)); diff != "" {
			r.Fatalf("replays changed the state: %s", diff)
		}
		audit(t, b)
	})
}

func reopen(t *testing.T, dir string, c *clock, b *bank.Bank) *bank.Bank {
	t.Helper()
	if err := b.Book().Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, dir, c, 1000)
}

// show is an answer without the amount refunded, which no answer shows.
func show(t *testing.T, a bank.Answer) string {
	t.Helper()
	if a.Intent != nil {
		a.Intent.Refunded = 0
	}
	out, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func state(t *testing.T, b *bank.Bank) []any {
	t.Helper()
	intents, _, _, err := b.List(bank.Page{Limit: 1000, CreatedUpTo: 1 << 40})
	if err != nil {
		t.Fatal(err)
	}
	refunds, _, _, err := b.ListRefunds(bank.Page{Limit: 1000, CreatedUpTo: 1 << 40})
	if err != nil {
		t.Fatal(err)
	}
	return []any{intents, refunds}
}

// audit adds the book up and compares it with the state, both ways.
func audit(t *testing.T, b *bank.Bank) {
	t.Helper()
	captured, refunded := map[string]int64{}, map[string]int64{}
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(b.Book().CopyFrom(w, 1)) }()
	dec := json.NewDecoder(r)
	for {
		var e book.Entry
		err := dec.Decode(&e)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e.Kind {
		case book.Captured:
			if captured[e.Intent] != 0 {
				t.Errorf("%s was captured twice", e.Intent)
			}
			captured[e.Intent] = e.Amount
		case book.Refunded:
			refunded[e.Intent] += e.Amount
		}
	}
	intents, _, _, err := b.List(bank.Page{Limit: 1000, CreatedUpTo: 1 << 40})
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range intents {
		if in.Received != captured[in.ID] || in.Refunded != refunded[in.ID] || in.Refunded > in.Received {
			t.Errorf("%s: state %d-%d, book %d-%d", in.ID, in.Received, in.Refunded, captured[in.ID], refunded[in.ID])
		}
	}
}
