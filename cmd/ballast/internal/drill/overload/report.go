package overload

import (
	"fmt"
	"runtime"
	"syscall"
	"time"

	"example.com/ballast/cmd/ballast/internal/drill"
	"example.com/ballast/cmd/ballast/internal/load"
	"example.com/ballast/cmd/ballast/internal/reconcile"
)

// What must hold with shedding.
const (
	leastGoodput = 0.9  // of the sustained rate
	leastOrders  = 0.99 // of the orders sent must be accepted
	slowNo       = 125  // milliseconds, the median of a refusal as its customer sees it: as long as a list may wait for a place
)

func (p *play) report(on, off *storm, books *reconcile.Result) *drill.Report {
	r := &drill.Report{
		Name: "Overload",
		About: fmt.Sprintf("%.0f calls/s is what orders sustains of this mix (%d clients that wait for their answers, backlog included). "+
			"It is sent %.1f times as much for %s, at random and whatever the answers, first with shedding and then with the flag "+
			"orders.shedding off. A customer waits %s. Generator and stack share %d cores.",
			p.sustained, clients, p.cfg.Times, p.cfg.Lasts, patience, runtime.NumCPU()),
	}
	summary := drill.Table{
		Title: "What it buys",
		Head:  []string{"", "sent/s", "answered/s", "of the sustained rate", "orders accepted", "normal again after", "generator, cores"},
	}
	for _, s := range []*storm{on, off} {
		sent := 0
		for i := range s.parts {
			sent += s.parts[i].Sent
		}
		summary.Rows = append(summary.Rows, []string{
			s.name, fmt.Sprintf("%.0f", float64(sent)/s.seconds), fmt.Sprintf("%.0f", s.goodput()),
			percent(s.goodput() / p.sustained), percent(share(s.placing())), drill.Millis(s.recovered), fmt.Sprintf("%.2f", s.generator),
		})
	}
	r.Tables = append(r.Tables, summary, byPart("Before, "+fmt.Sprint(clients)+" clients", p.calm), byPart("Shedding on", on.parts), byPart("Shedding off", off.parts))
	p.check(r, on, books)
	return r
}

func (p *play) check(r *drill.Report, on *storm, books *reconcile.Result) {
	placing, shed, bare, refused := on.placing(), 0, 0, load.Refusals(on.parts)
	for i := range on.parts {
		part := &on.parts[i]
		shed += part.Shed
		bare += part.Bare
	}
	r.Check(shed > 0 && on.counted["low"] > 0, "the overload is one", "%d calls were shed; orders counted low %.0f, normal %.0f, high %.0f, critical %.0f",
		shed, on.counted["low"], on.counted["normal"], on.counted["high"], on.counted["critical"])
	r.Check(on.goodput() >= leastGoodput*p.sustained, "goodput is at least 90 % of the sustained rate", "%.0f of %.0f calls/s, %s",
		on.goodput(), p.sustained, percent(on.goodput()/p.sustained))
	r.Check(share(placing) >= leastOrders, "at least 99 % of the orders are accepted", "%d of %d, %s; PlaceOrder p50 %.0f ms, p99 %.0f ms",
		placing.OK, placing.Sent, percent(share(placing)), placing.Answered.P50, placing.Answered.P99)
	r.Check(on.lowestFirst(), "the lowest goes first", "answered, by importance: %s", on.shares())
	r.Check(refused.P50 <= slowNo, "a refusal is quick", "median %.1f ms, p99 %.1f ms, at the customer, who shares the cores", refused.P50, refused.P99)
	r.Check(bare == 0, "every refusal says when to come back", "%d without Retry-After", bare)
	r.Check(on.recovered <= recoverIn, "it recovers within 60 s", "after %s no call is refused and no message waits", drill.Millis(on.recovered))
	r.Check(len(books.Differences) == 0, "the books agree", "%d differences in %d orders", len(books.Differences), len(p.mix.Accepted()))
}

// byPart is a table of one stretch.
func byPart(title string, parts []load.Part) drill.Table {
	t := drill.Table{Title: title, Head: []string{"calls", "sent", "answered", "", "shed", "failed otherwise", "p50", "p99", "refusal p50", "p99"}}
	for i := range parts {
		p := &parts[i]
		failed := fmt.Sprint(p.Failed)
		if p.Failed > 0 {
			failed += " (" + p.Failure + ")"
		}
		t.Rows = append(t.Rows, []string{
			p.String(), fmt.Sprint(p.Sent), fmt.Sprint(p.OK), percent(share(p)), fmt.Sprint(p.Shed), failed,
			millis(p.Answered.P50), millis(p.Answered.P99), millis(p.Refused.P50), millis(p.Refused.P99),
		})
	}
	return t
}

func (s *storm) placing() *load.Part {
	for i := range s.parts {
		if s.parts[i].Operation == "place" {
			return &s.parts[i]
		}
	}
	return &load.Part{}
}

// lowestFirst tells whether the mix, which is given most important first, was
// answered in that order.
func (s *storm) lowestFirst() bool {
	for i := 1; i < len(s.parts); i++ {
		if share(&s.parts[i]) > share(&s.parts[i-1])+0.01 {
			return false
		}
	}
	return true
}

func (s *storm) shares() string {
	text := ""
	for i := range s.parts {
		text += fmt.Sprintf(" %s %s", s.parts[i].Share, percent(share(&s.parts[i])))
	}
	return text[1:]
}

func share(p *load.Part) float64 { return float64(p.OK) / float64(max(1, p.Sent)) }

func percent(f float64) string { return fmt.Sprintf("%.1f %%", 100*f) }

func millis(f float64) string { return fmt.Sprintf("%.1f ms", f) }

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
