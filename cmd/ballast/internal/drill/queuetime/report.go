package queuetime

import (
	"fmt"
	"math"
	"strings"
	"time"

	"example.com/ballast/cmd/ballast/internal/drill"
)

// Of the gauges, by judgement.
const (
	// lagDelay is how old a gauge of the lag may be: it is asked for every second,
	// a frozen broker does not answer, and the answers' clock runs up to a commit
	// ahead of the offsets.
	lagDelay = 4 * time.Second
	// lagOff is the share of the looks that may be off even so.
	lagOff = .1
	// lagSlack is what the lag may be off besides, in records.
	lagSlack = 20
	// ageSlack is how far the highest age of the outbox may be off: orders measures
	// it every second, and it counts until the broker has acknowledged.
	ageSlack = 2 * time.Second
)

// report adds what a play has shown.
func (p *play) report(r *drill.Report) {
	waited := compare(p.wait, p.waits, func(w wait) time.Time { return w.written })
	aged := compare(p.age, p.waits, func(w wait) time.Time { return w.made })
	for _, h := range []struct {
		name string
		v    *verdict
	}{{metricBrokerWait, waited}, {metricEventAge, aged}} {
		t := drill.Table{
			Title: fmt.Sprintf("A consumer is %s: %s", p.way, h.name),
			Head:  []string{"up to", "histogram", "by the topics at least", "at most"},
		}
		for _, b := range h.v.rows {
			if math.IsInf(b.bound, 1) {
				continue // it has all of them, which is checked apart
			}
			t.Rows = append(t.Rows, []string{fmt.Sprintf("%g s", b.bound), fmt.Sprint(b.seen), fmt.Sprint(b.atLeast), fmt.Sprint(b.most)})
		}
		if len(h.v.waits) > 0 && h.v.Histogram.Count > 0 {
			t.Rows = append(t.Rows, []string{"mean", fmt.Sprintf("%.3f s", h.v.seenMean()),
				fmt.Sprintf("%.3f s", h.v.mean()-meanHandling.Seconds()), fmt.Sprintf("%.3f s", h.v.mean())})
		}
		r.Tables = append(r.Tables, t)
		r.Check(len(h.v.wrong) == 0, fmt.Sprintf("%s: %s has what the topics say", p.way, h.name),
			"%d waits, %d records: %s", h.v.Histogram.Count, len(h.v.waits), seen(h.v))
	}
	if n := len(waited.waits); n > 0 {
		longest := waited.waits[n-1]
		r.Check(longest > p.cfg.Stop*9/10, p.way+": the stop made commands wait", "%.1f s at most", longest.Seconds())
	}
	p.reportClock(r)
	p.reportGauges(r)
	r.Check(p.differences == 0, p.way+": the books agree", "%d differences of %d orders", p.differences, len(p.placed))
}

func seen(v *verdict) string {
	if len(v.wrong) > 0 {
		return strings.Join(v.wrong, "; ")
	}
	return fmt.Sprintf("mean %.3f s, and %.3f s until the answers", v.seenMean(), v.mean())
}

// reportClock ties the ages to the customers: what a command calls its time lies
// between the customer's call and its answer.
func (p *play) reportClock(r *drill.Report) {
	first := map[string]time.Time{}
	for _, w := range p.all {
		if at, ok := first[w.order]; !ok || w.made.Before(at) {
			first[w.order] = w.made
		}
	}
	outside := 0
	for id, call := range p.placed {
		if at, ok := first[id]; !ok || at.Before(call.sent) || at.After(call.answered) {
			outside++
		}
	}
	r.Check(outside == 0 && len(p.placed) > 0, p.way+": commands are as old as the customers' calls",
		"%d of %d outside their call", outside, len(p.placed))
}

// reportGauges compares the lag at every look, and the highest age of the outbox.
func (p *play) reportGauges(r *drill.Report) {
	off, looked, peak, backlogPeak := 0, 0, 0.0, 0
	oldest, oldestSeen := time.Duration(0), 0.0
	for _, l := range p.looks {
		oldestSeen = max(oldestSeen, l.outboxAge)
		if l.lag < 0 {
			continue
		}
		looked++
		peak = max(peak, l.lag)
		least, most := math.Inf(1), 0.0
		for ago := time.Duration(0); ago <= lagDelay; ago += lagDelay / 20 {
			n := float64(backlog(p.all, l.at.Add(-ago)))
			least, most = min(least, n), max(most, n)
		}
		if l.lag < least-lagSlack || l.lag > most+lagSlack {
			off++
		}
	}
	for _, w := range p.all {
		oldest = max(oldest, w.written.Sub(w.made))
		backlogPeak = max(backlogPeak, backlog(p.all, w.written))
	}
	r.Check(looked > 0 && float64(off) <= lagOff*float64(looked), p.way+": the lag is the backlog",
		"%d of %d looks are off; at most %.0f, and %d by the topics", off, looked, peak, backlogPeak)
	r.Check(math.Abs(oldestSeen-oldest.Seconds()) < ageSlack.Seconds(), p.way+": the age of the outbox is the time to the broker",
		"at most %.2f s, and %.2f s by the topics", oldestSeen, oldest.Seconds())
}
