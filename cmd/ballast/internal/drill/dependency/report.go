package dependency

import (
	"fmt"
	"strings"
	"time"

	"example.com/ballast/cmd/ballast/internal/drill"
)

// answerSlack is by how much a call may outlive its deadline: the generator runs
// on the machine that it loads.
const answerSlack = 500 * time.Millisecond

func (p *play) report(results []result, median time.Duration, found *books) *drill.Report {
	r := &drill.Report{
		Name: "Dependencies",
		About: fmt.Sprintf("Each fault is there for %s under %.0f calls a second with a deadline of %s, half of them orders; the others read an order, new or looked at before, or a product; customers don't repeat theirs. "+
			"Slow means 2 s more for every answer; in a black hole requests vanish; of the last kind, half of all connections are reset every 400 ms (of the provider: half of the answers are errors). "+
			"Amplification is attempts by calls that wanted the dependency. Recovered is when an order was again confirmed as usual (here within %s; "+
			"before the first fault the median was %s).",
			p.cfg.Lasts, p.cfg.Rate, p.cfg.Deadline, drill.Millis(p.usual), drill.Millis(median)),
	}
	table := drill.Table{Title: "What each fault did", Head: []string{
		"dependency", "fault", "orders failed", "of", "p50", "p99", "reads failed", "of", "p50", "p99", "maybe old",
		"orders: median to their end", "amplification", "breakers opened", "consumers paused", "set aside", "dead letters", "recovered after",
	}}
	for _, c := range results {
		places, reads := c.places.Took(), c.reads.Took()
		table.Rows = append(table.Rows, []string{
			c.dependency, c.fault.name,
			c.places.Codes(), fmt.Sprint(len(places)), drill.Millis(drill.Quantile(places, .5)), drill.Millis(drill.Quantile(places, .99)),
			c.reads.Codes(), fmt.Sprint(len(reads)), drill.Millis(drill.Quantile(reads, .5)), drill.Millis(drill.Quantile(reads, .99)),
			fmt.Sprintf("%.0f", c.seen.stale), toTheEnd(c.ends), fmt.Sprintf("%.2f", c.seen.amplification()),
			drill.Counts(c.seen.opened), c.seen.pauses(),
			fmt.Sprintf("%.0f", c.seen.setAside), fmt.Sprintf("%.0f", c.seen.deadLetters), drill.Millis(c.recovery),
		})
	}
	r.Tables = append(r.Tables, table)
	p.checks(r, results, median, found)
	return r
}

// toTheEnd writes how long most orders took, if any were placed.
func toTheEnd(ends []time.Duration) string {
	if len(ends) == 0 {
		return "none placed"
	}
	return drill.Millis(drill.Quantile(ends, .5))
}

func (p *play) checks(r *drill.Report, results []result, median time.Duration, found *books) {
	var unnoticed, late, spread []string
	var worst, slowest float64
	var dead float64
	var longest time.Duration
	for _, c := range results {
		name := c.dependency + " " + c.fault.name
		if !c.seen.bit() && c.places.Failed()+c.reads.Failed() == 0 && drill.Quantile(c.ends, .5) <= 3*median {
			unnoticed = append(unnoticed, name)
		}
		if c.recovery > recoveryBound {
			late = append(late, name)
		}
		// Placing an order needs the orders' own database and nothing else.
		if c.dependency != "postgres-orders" && c.places.Failed() > 0 {
			spread = append(spread, fmt.Sprintf("%s: %s", name, c.places.Codes()))
		}
		worst = max(worst, c.seen.amplification())
		dead += c.seen.deadLetters
		longest = max(longest, c.recovery)
		for _, calls := range []drill.Calls{c.places, c.reads} {
			slowest = max(slowest, drill.Quantile(calls.Took(), 1).Seconds())
		}
	}
	list := func(names []string) string {
		if len(names) == 0 {
			return fmt.Sprintf("all %d", len(results))
		}
		return "not: " + strings.Join(names, "; ")
	}
	r.Check(len(unnoticed) == 0, "every fault bit", "%s", list(unnoticed))
	r.Check(len(spread) == 0, "orders are taken while only others' dependencies fail", "%s", list(spread))
	r.Check(slowest <= (p.cfg.Deadline+answerSlack).Seconds(), "no call outlives its deadline", "the slowest took %.2f s of %s", slowest, p.cfg.Deadline)
	r.Check(worst <= 1.1, "retries of the guards don't amplify (consumers that wait are not in it)", "at most %.2f attempts for a call", worst)
	r.Check(dead == 0, "nothing is given up", "%.0f dead letters", dead)
	r.Check(len(late) == 0, "it is over soon", "the longest took %s; allowed are %s; %s", drill.Millis(longest), drill.Millis(recoveryBound), list(late))
	r.Check(len(found.Differences) == 0, "the books agree", "%d differences; orders: %s", len(found.Differences), drill.Counts(found.Orders))
}
