package book_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/services/provider/internal/book"
)

func open(t *testing.T, path string) (*book.Book, []book.Entry, book.Recovered) {
	t.Helper()
	var seen []book.Entry
	b, rec, err := book.Open(path, (*os.File).Sync, func(e *book.Entry) error {
		seen = append(seen, *e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b, seen, rec
}

func add(t *testing.T, b *book.Book, intent string) {
	t.Helper()
	batch, err := b.Append(&book.Entry{Kind: book.Created, Intent: intent, Metadata: json.RawMessage(`{"a":"<\"é"}`)})
	if err != nil {
		t.Fatal(err)
	}
	if err := batch.Wait(); err != nil {
		t.Fatal(err)
	}
}

func TestReopenGivesTheSameLines(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "book")
	b, _, _ := open(t, path)
	for i := range 10 {
		add(t, b, fmt.Sprint(i))
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b, seen, rec := open(t, path)
	if len(seen) != 10 || seen[9].Intent != "9" || seen[9].Seq != 10 || rec.Lines != 10 || rec.TornBytes != 0 {
		t.Fatalf("got %+v, %+v", seen, rec)
	}
	add(t, b, "next")
	var out bytes.Buffer
	if err := b.CopyFrom(&out, 11); err != nil || !strings.HasPrefix(out.String(), `{"seq":11,`) {
		t.Fatalf("got %q, %v", out.String(), err)
	}
}

// A crash can cut the file anywhere: whole lines are kept, the rest is cut off
// and written over.
func TestTornAnywhere(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "book")
	b, _, _ := open(t, path)
	for i := range 3 {
		add(t, b, fmt.Sprint(i))
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) + 1 {
		path := filepath.Join(t.TempDir(), "torn")
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		b, seen, rec := open(t, path)
		want := bytes.Count(whole[:cut], []byte{'\n'})
		torn := cut - 1 - bytes.LastIndexByte(whole[:cut], '\n')
		if len(seen) != want || rec.TornBytes != int64(torn) {
			t.Fatalf("cut at %d: %d lines, %d torn; want %d, %d", cut, len(seen), rec.TornBytes, want, torn)
		}
		add(t, b, "after")
		var out bytes.Buffer
		if err := b.CopyFrom(&out, 1); err != nil || bytes.Count(out.Bytes(), []byte{'\n'}) != want+1 {
			t.Fatalf("cut at %d: %v, %q", cut, err, out.String())
		}
	}
}

// A torn line longer than the next whole one must not show behind it.
func TestLongTornLine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "book")
	torn := `{"seq":1,"kind":"created","key":"` + strings.Repeat("k", 5000)
	if err := os.WriteFile(path, []byte(torn), 0o600); err != nil {
		t.Fatal(err)
	}
	b, _, rec := open(t, path)
	if rec.TornBytes != int64(len(torn)) {
		t.Fatalf("got %+v", rec)
	}
	add(t, b, "short")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, seen, rec := open(t, path); len(seen) != 1 || rec.TornBytes != 0 {
		t.Errorf("got %+v, %+v", seen, rec)
	}
}

func TestDamageIsRefused(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"not JSON":     "{\"seq\":1,\"kind\":\"opened\"}\nrubbish\n",
		"missing line": "{\"seq\":1,\"kind\":\"opened\"}\n{\"seq\":3,\"kind\":\"failed\"}\n",
	} {
		path := filepath.Join(t.TempDir(), "book")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := book.Open(path, (*os.File).Sync, func(*book.Entry) error { return nil })
		if err == nil || !strings.Contains(err.Error(), "line 2 at byte 26") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestOneOwner(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "book")
	open(t, path)
	_, _, err := book.Open(path, (*os.File).Sync, func(*book.Entry) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "another process owns it") {
		t.Fatalf("got %v", err)
	}
}

func TestConcurrentAppendsAndReads(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "book")
	b, _, _ := open(t, path)
	const writers, each = 8, 400 // more lines than two index strides
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				add(t, b, fmt.Sprintf("%d-%d", w, i))
			}
		})
	}
	wg.Wait()
	for _, from := range []int64{1, 2, 1024, 1025, 1026, 2049, writers * each, writers*each + 1} {
		var out bytes.Buffer
		if err := b.CopyFrom(&out, from); err != nil {
			t.Fatal(err)
		}
		var got []int64
		dec := json.NewDecoder(&out)
		for dec.More() {
			var e book.Entry
			if err := dec.Decode(&e); err != nil {
				t.Fatal(err)
			}
			got = append(got, e.Seq)
		}
		var want []int64
		for seq := from; seq <= writers*each; seq++ {
			want = append(want, seq)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("from %d: %s", from, diff)
		}
	}
}

// After a failed write nothing may be answered or written any more.
func TestFailedWriteEndsTheBook(t *testing.T) {
	t.Parallel()
	writes := 0
	b, _, err := book.Open(filepath.Join(t.TempDir(), "book"), func(*os.File) error {
		if writes++; writes == 2 {
			return errors.New("no space left")
		}
		return nil
	}, func(*book.Entry) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	add(t, b, "before")
	for range 2 { // the second time there is room again, but a line is missing before it
		batch, err := b.Append(&book.Entry{Kind: book.Created})
		if err != nil {
			t.Fatal(err)
		}
		if batch.Wait() == nil || b.Pending().Wait() == nil || b.Err() == nil {
			t.Fatal("a line that was not written was called durable")
		}
	}
	if err := <-b.Failed(); err == nil {
		t.Fatal("the owner must learn of it")
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte("{\"seq\":1,\"kind\":\"opened\"}\n{\"se"))
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "book")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		lines := int64(0)
		b, rec, err := book.Open(path, nil, func(*book.Entry) error { lines++; return nil })
		if err != nil {
			return
		}
		if lines != rec.Lines {
			t.Errorf("%d lines applied, %d counted", lines, rec.Lines)
		}
		add(t, b, "next")
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		// What was opened and added to must open again, with nothing torn.
		b, again, err := book.Open(path, nil, func(*book.Entry) error { return nil })
		if err != nil || again.Lines != lines+1 || again.TornBytes != 0 {
			t.Fatalf("reopen: %+v, %v", again, err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
}
