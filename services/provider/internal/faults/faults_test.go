package faults_test

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/ballast/services/provider/internal/faults"
)

func TestSharesAreMetAndRepeatable(t *testing.T) {
	t.Parallel()
	s := faults.Settings{ErrorRate: .05, DeclineRate: .1, ChargeTimeoutRate: .2, ChargeErrorRate: .02, HangMilli: 7}
	a, b, other := faults.New(1, s), faults.New(1, s), faults.New(2, s)
	const n = 20_000
	var fail, decline, hang, lose, differs int
	for i := range n {
		key := "pi:0190a1b2-0000-7000-8000-" + strconv.Itoa(i) + ":1:confirm"
		x := a.Draw("confirm", key)
		if i%3 == 0 { // other requests in between change nothing
			b.Draw("confirm", "")
		}
		if y := b.Draw("confirm", key); x != y {
			t.Fatalf("the same seed and key: %+v and %+v", x, y)
		}
		if other.Draw("confirm", key) != x {
			differs++
		}
		count := func(sum *int, hit bool) {
			if hit {
				*sum++
			}
		}
		count(&fail, x.Fail)
		count(&decline, x.Decline)
		count(&hang, x.Hang == 7*time.Millisecond)
		count(&lose, x.Lose)
	}
	for name, got := range map[string][2]float64{
		"error": {float64(fail), .05}, "decline": {float64(decline), .1},
		"timeout": {float64(hang), .2}, "lost": {float64(lose), .02},
	} {
		// Five standard deviations of a binomial draw.
		if share, want := got[0]/n, got[1]; math.Abs(share-want) > 5*math.Sqrt(want*(1-want)/n) {
			t.Errorf("%s: %v of the calls, want %v", name, share, want)
		}
	}
	if differs == 0 {
		t.Error("another seed must lead to other fates")
	}
}

func TestOperations(t *testing.T) {
	t.Parallel()
	f := faults.New(1, faults.Settings{ErrorRate: 1, ChargeErrorRate: 1, DeclineRate: 1})
	if x := f.Draw("create", "k"); !x.Fail || x.Lose || x.Decline {
		t.Errorf("by default only confirmations are declined or lose their answer: %+v", x)
	}
	if x := f.Draw("confirm", "k"); !x.Fail || !x.Lose || !x.Decline {
		t.Errorf("confirm: %+v", x)
	}
	f.Set(faults.Settings{ErrorRate: 1, ChargeErrorRate: 1, Operations: []string{"refund"}})
	if x := f.Draw("confirm", "k"); x.Fail || x.Lose {
		t.Errorf("confirm is not listed: %+v", x)
	}
	if x := f.Draw("refund", "k"); !x.Fail || !x.Lose {
		t.Errorf("refund is listed: %+v", x)
	}
}

func TestLatencyStaysInItsBounds(t *testing.T) {
	t.Parallel()
	f := faults.New(1, faults.Settings{LatencyMilli: 10, JitterMilli: 5})
	seen := map[time.Duration]bool{}
	for range 100 {
		d := f.Draw("read", "").Delay
		if d < 10*time.Millisecond || d >= 15*time.Millisecond {
			t.Fatalf("delay %v", d)
		}
		seen[d] = true
	}
	if len(seen) < 50 {
		t.Errorf("only %d different delays", len(seen))
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	s, err := faults.Parse(strings.NewReader(`{"decline_rate":0.5,"outage":"hang"}`))
	if err != nil || s.DeclineRate != .5 || s.HangMilli != 60_000 {
		t.Fatalf("got %+v, %v", s, err)
	}
	for text, want := range map[string]string{
		`{"error_rate":1.5}`:                 "error_rate is 1.5",
		`{"eror_rate":0.5}`:                  `unknown field "eror_rate"`,
		`{"outage":"maybe"}`:                 `outage is "maybe"`,
		`{"operations":["capture"]}`:         `operation "capture"`,
		`{"latency_ms":-1}`:                  "can't be negative",
		`{"outage":"x","decline_rate":-0.1}`: "decline_rate is -0.1",
		`[]`:                                 "cannot unmarshal",
	} {
		if _, err := faults.Parse(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}
