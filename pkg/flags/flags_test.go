package flags_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"example.com/ballast/pkg/flags"
)

const (
	switched = "orders.stale-reads" // a percentage of orders
	latency  = "orders.fault-rpc-latency-ms"
	outage   = "provider.outage"
)

// write replaces the file in one step, as the tool does.
func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, path string) *flags.Set {
	t.Helper()
	set, err := flags.Open(t.Context(), path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = set.Close(t.Context()) })
	return set
}

func TestDefaultsHoldWithoutAFile(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for name, set := range map[string]*flags.Set{
		"nil": nil, "no path": open(t, ""), "no file": open(t, filepath.Join(t.TempDir(), "flags.json")),
	} {
		if !set.Bool(ctx, switched, true, "o") || set.Bool(ctx, switched, false, "o") {
			t.Errorf("%s: a bool is not its default", name)
		}
		if v := set.Number(ctx, latency, 7, ""); v != 7 {
			t.Errorf("%s: a number is %v, want 7", name, v)
		}
		if v := set.String(ctx, outage, "hang", ""); v != "hang" {
			t.Errorf("%s: a string is %q, want hang", name, v)
		}
	}
}

// A file is followed while the process runs, and a broken one changes nothing.
func TestTheFileIsFollowed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "flags.json")
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		set := open(t, path)
		go func() { _ = set.Run(ctx) }()
		for _, step := range []struct {
			file string // "" removes it
			want float64
		}{
			{`{"orders.fault-rpc-latency-ms": {"value": 20}}`, 20},
			{`{"orders.fault-rpc-latency-ms": {"value": 30}}`, 30}, // as long as before
			{`{"orders.fault-rpc-latency-ms": {"value": 40`, 30},
			{`{"orders.fault-rpc-latency-ms": {"value": -1}}`, 30},
			{`{"orders.fault-rpc-latency-ms": {"value": "slow"}}`, 30},
			{`{"orders.fault-rpc-latency-ms": {"value": 40, "percent": 50}}`, 30}, // of nothing
			{`{"orders.fault-rpc-latency-ms": {"value": 40, "pct": 50}}`, 30},
			{`{"orders.fault-rpc-latency-ms": {"value": 40}} {}`, 30},
			{`{"orders.stale-reads": {"value": true, "percent": 101}}`, 30},
			{`{"provider.outage": {"value": "flood"}}`, 30},
			{`{"orders.fault-rpc-latency-ms": {"value": 50}, "of.tomorrow": {"value": 1}}`, 50},
			{`{}`, 7},
			{`{"orders.fault-rpc-latency-ms": {"value": 60}}`, 60},
			{"", 7},
		} {
			if step.file == "" {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			} else {
				write(t, path, step.file)
			}
			time.Sleep(1500 * time.Millisecond)
			if got := set.Number(ctx, latency, 7, ""); got != step.want {
				t.Errorf("after %s: %v, want %v", step.file, got, step.want)
			}
		}
	})
}

func TestAPercentageOfSubjects(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	on := func(percent int) map[string]bool {
		path := filepath.Join(t.TempDir(), "flags.json")
		write(t, path, fmt.Sprintf(`{%q: {"value": true, "percent": %d}}`, switched, percent))
		set, found := open(t, path), map[string]bool{}
		for i := range 10_000 {
			subject := strconv.Itoa(i)
			if set.Bool(ctx, switched, false, subject) {
				found[subject] = true
			}
			if set.Bool(ctx, switched, false, subject) != found[subject] {
				t.Fatalf("%s changed sides", subject)
			}
		}
		if got := len(found); got < percent*100-200 || got > percent*100+200 {
			t.Errorf("%d of 10,000 at %d %%", got, percent)
		}
		if percent < 100 && set.Bool(ctx, switched, false, "") {
			t.Error("a call without a subject is in a part of the way")
		}
		return found
	}
	few, many := on(10), on(40)
	on(0)
	on(100)
	for subject := range few {
		if !many[subject] {
			t.Errorf("%s was taken out when the share rose", subject)
		}
	}
}

// What the code asks for with another type than the file has is the default.
func TestAnotherTypeIsTheDefault(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "flags.json")
	write(t, path, `{"of.tomorrow": {"value": "text"}}`)
	set := open(t, path)
	if !set.Bool(t.Context(), "of.tomorrow", true, "") || set.Number(t.Context(), "of.tomorrow", 3, "") != 3 {
		t.Error("a text was taken for something else")
	}
	if got := set.String(t.Context(), "of.tomorrow", "", ""); got != "text" {
		t.Errorf("%q, want text", got)
	}
}

func TestKnownFlagsAreWellFormed(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, f := range flags.Known() {
		if names[f.Name] || f.About == "" || f.Default == "" {
			t.Errorf("%+v is twice there or says too little", f)
		}
		names[f.Name] = true
		if found, ok := flags.Find(f.Name); !ok || found.Kind != f.Kind {
			t.Errorf("%s is not found", f.Name)
		}
	}
}

func BenchmarkFlags(b *testing.B) {
	path := filepath.Join(b.TempDir(), "flags.json")
	write(b, path, `{"orders.stale-reads": {"value": true, "percent": 25}}`)
	set, ctx := open(b, path), b.Context()
	b.Run("not set", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			set.Number(ctx, latency, 0, "")
		}
	})
	b.Run("a percentage", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			set.Bool(ctx, switched, false, "0190a1b2-0000-7000-8000-000000000001")
		}
	})
}
