package rolling

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"example.com/ballast/cmd/ballast/internal/drill"
	"example.com/ballast/cmd/ballast/internal/reconcile"
	ordersv1 "example.com/ballast/gen/orders/v1"
)

// leaks are what must come back to where it was: goroutines and open files of
// each process.
func (p *play) leaks(ctx context.Context) (map[string][2]int, error) {
	state, err := p.State()
	if err != nil {
		return nil, err
	}
	held := map[string][2]int{}
	for _, service := range []string{"orders", "inventory", "payments"} {
		for _, child := range state.Named(service) {
			m, err := p.Scrape(ctx, child.Name)
			if err != nil {
				return nil, err
			}
			held[child.Name] = [2]int{int(m.Sum("go_goroutine_count")), int(m.Sum("process_open_fds"))}
		}
	}
	return held, nil
}

func (p *play) report(books *reconcile.Result, ends drill.Ends, before, after map[string][2]int) (*drill.Report, error) {
	r := &drill.Report{
		Name: "Rolling restart",
		About: fmt.Sprintf("Two replicas of each service, %.0f calls a second; every process is restarted in turn"+
			map[bool]string{true: ", and one of each killed", false: ""}[p.cfg.Kills]+
			". A client goes to the other replica, with the same key, and honours Retry-After.", p.cfg.Rate),
	}
	table := drill.Table{
		Title: "What customers saw",
		Head:  []string{"while", "calls", "failed", "retried", "p50", "p99", "slowest", "slowest order that ended", "process"},
	}
	var failed, retried int
	// What the last fault delays may end after the traffic.
	p.windows[len(p.windows)-1].to = time.Now()
	for _, w := range p.windows {
		calls := p.traffic.Between(w.from, w.to)
		failed += calls.Failed()
		for _, n := range w.retries {
			retried += n
		}
		took := calls.Took()
		slowest := slowestEnd(ends, w)
		if w.bound > 0 {
			r.Check(slowest > 0 && slowest <= w.bound, w.name+": its work is taken over", "the slowest order took %s, allowed are %s",
				drill.Millis(slowest), drill.Millis(w.bound))
		}
		table.Rows = append(table.Rows, []string{
			w.name, fmt.Sprint(len(calls)), calls.Codes(), drill.Counts(w.retries),
			drill.Millis(drill.Quantile(took, .5)), drill.Millis(drill.Quantile(took, .99)), drill.Millis(drill.Quantile(took, 1)),
			drill.Millis(slowest), w.process,
		})
	}
	r.Tables = append(r.Tables, table)
	all := p.traffic.Between(time.Time{}, time.Now())
	r.Check(all.Failed() == 0 && failed == 0, "no call failed", "%d of %d, %d attempts were repeated: %s", all.Failed(), len(all), retried, all.Codes())
	confirmed := books.Orders[reconcile.StatusName(ordersv1.OrderStatus_ORDER_STATUS_CONFIRMED)]
	r.Check(confirmed == len(p.shop.placed()), "every accepted order is confirmed", "%d of %d: %s", confirmed, len(p.shop.placed()), drill.Counts(books.Orders))
	r.Check(len(books.Differences) == 0, "the books agree", "%d differences in %d ledger entries and %d lines of the provider's book",
		len(books.Differences), books.LedgerEntries, books.BookLines)
	if err := p.checkProcesses(r); err != nil {
		return nil, err
	}
	p.checkLeaks(r, before, after)
	return r, nil
}

// slowestEnd is the longest that an order took which ended in a window.
func slowestEnd(ends drill.Ends, w window) time.Duration {
	var slowest time.Duration
	for _, e := range ends {
		if ended := e.Placed.Add(e.Took); !ended.Before(w.from) && ended.Before(w.to) {
			slowest = max(slowest, e.Took)
		}
	}
	return slowest
}

// checkProcesses shows that every process was restarted, and ended by itself
// with every step of its shutdown done: a kill would leave no last line.
func (p *play) checkProcesses(r *drill.Report) error {
	state, err := p.State()
	if err != nil {
		return err
	}
	var restarted, orderly, steps int
	var failures []string
	for _, service := range []string{"orders", "inventory", "payments"} {
		for _, child := range state.Named(service) {
			if child.Restarts > 0 {
				restarted++
			}
			log, err := os.ReadFile(child.Log)
			if err != nil {
				return fmt.Errorf("log of %s: %w", child.Name, err)
			}
			orderly += strings.Count(string(log), `"msg":"stopped"`)
			steps += strings.Count(string(log), `"msg":"a step of the shutdown failed"`)
			for line := range strings.Lines(string(log)) {
				if strings.Contains(line, `"msg":"the service failed"`) {
					failures = append(failures, child.Name+": "+strings.TrimSpace(line))
				}
			}
		}
	}
	r.Check(restarted == 6, "the restarts happened", "%d of 6 processes have a successor", restarted)
	r.Check(orderly == 6 && steps == 0, "each ended in good order", "%d of 6 said so, %d steps of a shutdown failed; by itself: %s", orderly, steps,
		cmp.Or(strings.Join(failures, "; "), "none"))
	return nil
}

// checkLeaks allows for what stays open for a while on purpose: payments keeps up
// to 64 idle connections to the provider, each with two goroutines, and every
// process those of this drill's client.
func (p *play) checkLeaks(r *drill.Report, before, after map[string][2]int) {
	const idle = 100
	var worse []string
	var most [2]int
	for child, now := range after {
		then := before[child]
		most[0], most[1] = max(most[0], now[0]), max(most[1], now[1])
		if now[0] > then[0]+2*idle || now[1] > then[1]+idle {
			worse = append(worse, fmt.Sprintf("%s: goroutines %d -> %d, files %d -> %d", child, then[0], now[0], then[1], now[1]))
		}
	}
	slices.Sort(worse)
	r.Check(len(worse) == 0, "no process leaks", "at most %d goroutines and %d open files; %s", most[0], most[1],
		cmp.Or(strings.Join(worse, "; "), "none has many more than before"))
}
