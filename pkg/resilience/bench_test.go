package resilience_test

import (
	"context"
	"log/slog"
	"testing"

	"example.com/ballast/pkg/resilience"
)

// BenchmarkDo is what a call costs that passes its guard, and one that is refused.
func BenchmarkDo(b *testing.B) {
	guard := func(b *testing.B, consecutive uint32) *resilience.Guard {
		g, err := resilience.New(resilience.Config{Name: "b", Logger: slog.New(slog.DiscardHandler), Consecutive: consecutive})
		if err != nil {
			b.Fatal(err)
		}
		return g
	}
	b.Run("passes", func(b *testing.B) {
		g := guard(b, 0)
		b.ReportAllocs()
		for b.Loop() {
			_ = resilience.Run(b.Context(), g, func(context.Context) error { return nil })
		}
	})
	b.Run("refused", func(b *testing.B) {
		g := guard(b, 1)
		_ = resilience.Run(b.Context(), g, fails)
		b.ReportAllocs()
		for b.Loop() {
			_ = resilience.Run(b.Context(), g, func(context.Context) error { return nil })
		}
	})
}

// BenchmarkHedged is what a fast read costs more with hedging on, and off.
func BenchmarkHedged(b *testing.B) {
	for name, off := range map[string]bool{"on": false, "off": true} {
		b.Run(name, func(b *testing.B) {
			h, err := resilience.NewHedge(resilience.HedgeConfig{Name: "b", Off: func() bool { return off }})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				_, _ = resilience.Hedged(b.Context(), h, func(context.Context, bool) (int, error) { return 1, nil })
			}
		})
	}
}
