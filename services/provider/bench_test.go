package main

import (
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85"
)

// BenchmarkPayment makes one payment per operation, two calls, against a
// provider in another process, and says what the provider's side of it costs.
func BenchmarkPayment(b *testing.B) {
	for _, fsync := range []string{"true", "false"} {
		b.Run("fsync="+fsync, func(b *testing.B) {
			p := start(b, filepath.Join(b.TempDir(), "book"), "BOOK_FSYNC="+fsync)
			var n atomic.Int64
			b.SetParallelism(32)
			before := cpu(b)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					key := strconv.FormatInt(n.Add(1), 10)
					create := &stripe.PaymentIntentCreateParams{
						Amount: stripe.Int64(500), Currency: stripe.String("gbp"), PaymentMethod: stripe.String("pm_card_visa"),
						Metadata: map[string]string{"order_id": "0190a1b2-0000-7000-8000-000000000000"},
					}
					create.SetIdempotencyKey("pi:0190a1b2-0000-7000-8000-000000000000:" + key)
					pi, err := p.V1PaymentIntents.Create(b.Context(), create)
					if err != nil {
						b.Error(err)
						return
					}
					confirm := &stripe.PaymentIntentConfirmParams{}
					confirm.SetIdempotencyKey("pi:0190a1b2-0000-7000-8000-000000000000:" + key + ":confirm")
					if _, err := p.V1PaymentIntents.Confirm(b.Context(), pi.ID, confirm); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.StopTimer()
			calls := float64(2 * b.N)
			b.ReportMetric(calls/b.Elapsed().Seconds(), "calls/s")
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/calls, "client-cpu-us/call")
			p.kill()
			spent := p.state().UserTime() + p.state().SystemTime()
			b.ReportMetric(float64(spent.Microseconds())/calls, "provider-cpu-us/call")
		})
	}
}

// cpu is what this process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
