package zombie

import (
	"fmt"
	"time"

	"example.com/ballast/cmd/ballast/internal/drill"
	"example.com/ballast/cmd/ballast/internal/reconcile"
	ordersv1 "example.com/ballast/gen/orders/v1"
)

func (p *play) report(calls drill.Calls, books *reconcile.Result, log history) *drill.Report {
	r := &drill.Report{
		Name: "Zombie leaders",
		About: fmt.Sprintf("Two replicas of each service and %.0f orders a second. Each leader is stopped with SIGSTOP inside a "+
			"transaction that has locked its lease, for longer than the lease, and then goes on. The late write that "+
			"is refused is the drill's own: the stalled transaction tried again, behind the fence that the leader's writes use.", p.cfg.Rate),
	}
	table := drill.Table{
		Title: "Leaders that were stopped",
		Head: []string{"lease", "stopped", "for", "its transaction ended after", "successor", "took over after", "epoch",
			"orders placed meanwhile", "terms lost", "stale writes refused"},
	}
	var open, replaced, refused int
	var slowest time.Duration
	for _, z := range p.rounds {
		table.Rows = append(table.Rows, []string{
			z.lease, z.child, drill.Millis(z.stopped), drill.Millis(z.ended), z.successor, drill.Millis(z.takeover),
			fmt.Sprintf("%d -> %d", z.from, z.to), fmt.Sprint(z.placed), fmt.Sprint(z.lost), fmt.Sprint(z.stale),
		})
		open += one(z.open)
		replaced += one(z.to > z.from && z.successor != z.child)
		refused += one(z.stale > 0 && z.lost > 0)
		slowest = max(slowest, z.takeover)
	}
	r.Tables = append(r.Tables, table, log.table())
	n := len(p.rounds)
	r.Check(open == n, "each was stopped inside a transaction", "%d of %d, seen in pg_stat_activity", open, n)
	r.Check(replaced == n && slowest <= bound, "another took over, in a new epoch", "%d of %d, the slowest after %s", replaced, n, drill.Millis(slowest))
	r.Check(refused == n, "the old one's late write was refused", "%d of %d lost their term and were refused by the fence", refused, n)
	r.Check(log.gaps == 0 && log.orders >= len(p.accepted), "versions rise without a gap", "%d orders, %d gaps or inversions; %d messages came twice and were absorbed",
		log.orders, log.gaps, log.repeated())
	r.Check(calls.Failed() == 0, "customers", "%d of %d calls failed: %s; slowest %s", calls.Failed(), len(calls), calls.Codes(),
		drill.Millis(drill.Quantile(calls.Took(), 1)))
	confirmed := books.Orders[reconcile.StatusName(ordersv1.OrderStatus_ORDER_STATUS_CONFIRMED)]
	r.Check(confirmed == len(p.accepted), "every accepted order is confirmed", "%d of %d: %s", confirmed, len(p.accepted), drill.Counts(books.Orders))
	r.Check(len(books.Differences) == 0, "nothing is doubled: the books agree", "%d differences in %d ledger entries and %d lines of the provider's book",
		len(books.Differences), books.LedgerEntries, books.BookLines)
	return r
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}
