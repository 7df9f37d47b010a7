package neighbour

import (
	"fmt"
	"strconv"

	"example.com/ballast/cmd/ballast/internal/drill"
)

// share of the looks that the cache answered.
func (p phase) share() float64 {
	if p.hits+p.loads == 0 {
		return 0
	}
	return float64(p.hits) / float64(p.hits+p.loads)
}

func report(cfg Config, own, shared *outcome) *drill.Report {
	r := &drill.Report{
		Name: "noisy-neighbour",
		About: fmt.Sprintf("Customers look at %d orders, %v times a second, while inventory fills its cache of %s with more than fits: "+
			"once with a Redis for each service, once with one for all.", cfg.Orders, cfg.Rate, memory),
	}
	for _, play := range []struct {
		title string
		*outcome
	}{{"A Redis for each service", own}, {"One Redis for all", shared}} {
		t := drill.Table{Title: play.title, Head: []string{
			"phase", "looks", "failed", "answered by the cache", "database reads/s", "p50", "p99", "evicted in orders' Redis", "orders still cached",
		}}
		for _, p := range play.phases {
			took := p.calls.Took()
			t.Rows = append(t.Rows, []string{
				p.name, strconv.Itoa(len(p.calls)), strconv.Itoa(p.calls.Failed()), fmt.Sprintf("%.0f %%", 100*p.share()),
				fmt.Sprintf("%.1f", float64(p.loads)/p.took.Seconds()),
				drill.Millis(drill.Quantile(took, .5)), drill.Millis(drill.Quantile(took, .99)),
				strconv.FormatInt(p.evicted, 10), fmt.Sprintf("%d of %d", p.kept, play.orders),
			})
		}
		r.Tables = append(r.Tables, t)
	}
	const churn = 1
	mine, ours := own.phases[churn], shared.phases[churn]
	r.Check(own.overflowed > 0 && shared.overflowed > 0, "the churn overflows the neighbour's cache",
		"%d keys evicted with a Redis of its own, %d in the shared one", own.overflowed, shared.overflowed)
	r.Check(mine.evicted == 0 && mine.kept == int64(own.orders), "a Redis of its own: the victim loses nothing",
		"%d evicted, %d of %d still cached", mine.evicted, mine.kept, own.orders)
	r.Check(mine.share() > .9, "a Redis of its own: the victim's cache goes on answering", "%.0f %%", 100*mine.share())
	r.Check(ours.evicted > 0 && ours.loads > 0 && ours.share() < mine.share()-.1, "the shared Redis: the victim pays",
		"%.0f %% answered by the cache, %.1f database reads/s instead of %.1f",
		100*ours.share(), float64(ours.loads)/ours.took.Seconds(), float64(mine.loads)/mine.took.Seconds())
	failed := 0
	for _, p := range append(own.phases, shared.phases...) {
		failed += p.calls.Failed()
	}
	r.Check(failed == 0, "every look is answered, whatever the cache does", "%d failed", failed)
	r.Check(own.differences+shared.differences == 0, "the books agree", "%d differences", own.differences+shared.differences)
	return r
}
