package alerts

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"example.com/ballast/cmd/ballast/internal/drill"
	"example.com/ballast/cmd/ballast/internal/reconcile"
	"example.com/ballast/docs/runbooks"
)

// line says in one line what a fault did.
func (r *result) line() string {
	var parts []string
	for _, name := range r.alerts {
		e, ok := r.fired[name]
		if !ok {
			parts = append(parts, name+" did not fire")
			continue
		}
		parts = append(parts, fmt.Sprintf("%s fired after %s, clear after %s", name, e.toFire(r), e.toClear(r)))
	}
	line := strings.Join(parts, "; ")
	for _, p := range r.problems {
		line += "\n      PROBLEM: " + p
	}
	return line
}

// toFire counts from the fault, toClear from its end.
func (e episode) toFire(r *result) string { return seconds(e.fired.Sub(r.began)) }

func (e episode) toClear(r *result) string {
	switch {
	case e.gone.IsZero():
		return "-"
	case e.gone.Before(r.healed):
		return "0 s (by the runbook)"
	}
	return seconds(e.gone.Sub(r.healed))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// inProduction calculates how long the alert would take at the speed of production.
// The fault bites as fast as it does here, and what is a time of the rule is longer
// by the factor. Of a rule for a cause that is its wait; a budget's window has to
// fill as well, so all of it is.
func (e episode) inProduction(r *result, faster float64) string {
	bite, wait := e.active.Sub(r.began), e.fired.Sub(e.active)
	whole := bite.Seconds() + wait.Seconds()*faster
	if runbooks.For(e.alert) != e.alert {
		whole = (bite + wait).Seconds() * faster
	}
	if whole < 90 {
		return fmt.Sprintf("%.0f s", whole)
	}
	return fmt.Sprintf("%.0f min", math.Ceil(whole/60))
}

func (p *play) report(ctx context.Context, results []*result, calm [][]string) (*drill.Report, error) {
	p.Say("comparing the books of %d accepted orders", len(p.shop.placed()))
	books, err := p.Reconcile(ctx, p.shop.placed())
	if err != nil {
		return nil, err
	}
	r := &drill.Report{
		Name: "Alerts",
		About: fmt.Sprintf("Every alert, fired by the fault that it is there for, on a stack under %.0f calls a second, and cleared by what its runbook says. "+
			"All windows and waits of the rules are %.0f times shorter than in production; times to fire count from the fault, times to clear from its end. "+
			"An alert on a budget goes on for as long as its windows remember, and later faults burn that of OrderConfirmed again.",
			p.cfg.Rate, p.cfg.Faster),
	}
	table := drill.Table{Title: "What fired", Head: []string{
		"alert", "fault", "fired after", "in production, by calculation", "clear after", "fired along with it", "commands and queries of its runbook run",
	}}
	var problems []string
	fired, wanted, ran := 0, 0, 0
	for _, res := range results {
		for _, name := range res.alerts {
			wanted++
			e, ok := res.fired[name]
			cells := []string{name, res.about, "-", "-", "-", list(res.along), fmt.Sprint(res.ran)}
			if ok {
				fired++
				cells[2], cells[3], cells[4] = e.toFire(res), e.inProduction(res, p.cfg.Faster), e.toClear(res)
			}
			table.Rows = append(table.Rows, cells)
		}
		ran += res.ran
		for _, problem := range res.problems {
			problems = append(problems, res.alerts[0]+": "+strings.ReplaceAll(strings.TrimSpace(problem), "\n", " / "))
		}
	}
	r.Tables = append(r.Tables, table)
	r.Check(fired == wanted, "every alert fires on its fault", "%d of %d", fired, wanted)
	r.Check(len(problems) == 0, "its runbook shows the cause, clears it and says so", "%d commands and queries run; problems: %s", ran, list(problems))
	for i, when := range []string{"before the first fault", "after the last"} {
		if p.cfg.Calm == 0 {
			break
		}
		r.Check(len(calm[i]) == 0, "no alert fires "+when, "in %s of load: %s", p.cfg.Calm, list(calm[i]))
	}
	// What was taken twice was given back, and stays in the provider's book as both.
	differ := slices.DeleteFunc(books.Differences, func(d reconcile.Difference) bool { return d.Subject == p.twice })
	what := "the books agree"
	if p.twice != "" {
		what += ", but for the order that was charged twice"
	}
	r.Check(len(differ) == 0, what, "%d differences; orders: %s", len(differ), drill.Counts(books.Orders))
	return r, nil
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
