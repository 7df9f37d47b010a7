package faults_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/services/provider/internal/faults"
)

// Flags are laid over what was set, and taken off again.
func TestFlagsAreLaidOver(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "flags.json")
	synctest.Test(t, func(t *testing.T) {
		base := faults.Settings{DeclineRate: .5, HangMilli: 7}
		f := faults.New(1, base)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go f.Follow(ctx, path, slog.New(slog.DiscardHandler))
		with := func(change func(*faults.Settings)) faults.Settings {
			s := base
			change(&s)
			return s
		}
		slow := with(func(s *faults.Settings) { s.LatencyMilli = 30 })
		for _, step := range []struct {
			file string
			want faults.Settings
		}{
			{`{"orders.stale-reads": {"value": true}}`, base},
			{`{"provider.outage": {"value": "hang"}}`, with(func(s *faults.Settings) { s.Outage = "hang" })},
			{`{"provider.latency-ms": {"value": 30}}`, slow},
			{`{"provider.latency-ms": {"value": -30}}`, slow},
			{`{"provider.latency`, slow},
			{`{"provider.nobody-knows": {"value": 1}}`, slow},
			{`{}`, base},
			{`{"provider.decline-rate": {"value": 0.1}}`, with(func(s *faults.Settings) { s.DeclineRate = .1 })},
		} {
			if err := os.WriteFile(path, []byte(step.file), 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(1500 * time.Millisecond)
			if diff := cmp.Diff(step.want, f.Settings()); diff != "" {
				t.Errorf("after %s: %s", step.file, diff)
			}
		}
		f.Set(faults.Settings{DeclineRate: .9}) // what is set meanwhile is below
		if got := f.Settings().DeclineRate; got != .1 {
			t.Errorf("decline rate %v, want the flag's", got)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1500 * time.Millisecond)
		if got := f.Settings().DeclineRate; got != .9 {
			t.Errorf("decline rate %v, want what was set", got)
		}
	})
}
