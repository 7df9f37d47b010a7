package bank_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/ballast/services/provider/internal/bank"
)

// fill makes n payments as the platform does: created and confirmed, each
// under a key, with an order id.
func fill(tb testing.TB, b *bank.Bank, n int) {
	tb.Helper()
	for i := range n {
		order := uuid.Must(uuid.NewV7()).String()
		key := "pi:" + order + ":1"
		a, err := b.Execute(bank.Call{
			Op: bank.Create, Key: key, Fingerprint: uint64(i), Amount: 1999, Currency: "gbp", Method: "pm_card_visa",
			Metadata: `{"order_id":"` + order + `"}`,
		})
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := b.Execute(bank.Call{Op: bank.Confirm, Key: key + ":confirm", Intent: a.Intent.ID}); err != nil {
			tb.Fatal(err)
		}
	}
}

func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// BenchmarkMemory says what a payment costs in memory and in the book, and how
// fast the book is read on start.
func BenchmarkMemory(b *testing.B) {
	const n = 200_000
	for b.Loop() {
		dir, c := b.TempDir(), start()
		before := heap()
		bk := open(b, dir, c, n)
		fill(b, bk, n)
		b.ReportMetric((heap()-before)/n, "heap-B/payment")
		if err := bk.Book().Close(); err != nil {
			b.Fatal(err)
		}
		begin := time.Now()
		bk = open(b, dir, c, n)
		b.ReportMetric(2*n/time.Since(begin).Seconds(), "lines-read/s")
		runtime.KeepAlive(bk)
	}
}

// MAX_INTENTS bounds memory only as long as a payment's bytes are bounded. It
// is not parallel: other tests would be measured with it.
func TestMemoryOfAPayment(t *testing.T) {
	before := heap()
	const n = 50_000
	b := open(t, t.TempDir(), start(), n)
	fill(t, b, n)
	got := (heap() - before) / n
	t.Logf("a payment holds %.0f bytes of memory", got)
	if got > 200 {
		t.Error("that is more than the 200 that are allowed")
	}
	runtime.KeepAlive(b)
}
