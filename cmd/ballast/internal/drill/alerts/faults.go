package alerts

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"example.com/ballast/cmd/ballast/internal/stack"
	"example.com/ballast/docs/runbooks"
)

// fault is one thing that goes wrong, with what must be seen of it.
type fault struct {
	// about says it in words.
	about string
	// alerts must fire.
	alerts []string
	// shows is what the Check of their runbooks must print, each of them.
	shows []string
	// needs says what is missing for it on this machine, if anything is.
	needs func(stack.State) string
	// within is how long its alerts may take, where a budget is so large that it takes
	// long to burn; fireWithin when zero.
	within time.Duration
	// inject makes the fault. The returned function ends what the runbook's Act does
	// not: it runs after that, and may find nothing left to do.
	inject func(context.Context, *play) (end func(context.Context) error, err error)
}

func asIs(context.Context) error { return nil }

// aDiskToFill is an exporter that sees it, and the right to mount it.
func aDiskToFill(state stack.State) string {
	switch {
	case state.Endpoints.Node == "":
		return "no node_exporter in PATH (Debian: prometheus-node-exporter)"
	case os.Geteuid() != 0:
		return "only root mounts a file system to fill"
	}
	return ""
}

// faults are all of them, in an order that shows each alert on its own fault: one on
// a budget goes on firing for a while after its fault, so first come those of a
// budget that later faults burn as well, and last those that no customer feels.
func faults() []fault {
	return append(budgets(), causes()...)
}

// budgets are the faults by which an error budget burns, each before the first other
// fault that burns the same.
func budgets() []fault {
	return []fault{
		{
			about:  "5 messages that nobody can read are among the commands to payments",
			alerts: []string{"DeadLettersGrow", "DlqEmptyBurnsFast", "DlqEmptyBurnsSlow"},
			shows:  []string{"payments.commands", "malformed"},
			within: 5 * time.Minute, // A twentieth of three days, at the drill's speed.
			inject: poison,
		},
		{
			about:  "the payment provider takes 1.5 s more for every call",
			alerts: []string{"OrderConfirmedBurnsFast", "OrderConfirmedBurnsSlow"},
			shows:  []string{"provider.latency-ms", "step=charge"},
			inject: flag("provider.latency-ms", "1500"),
		},
		{
			about:  "half of all calls of orders are answered unavailable",
			alerts: []string{"PlaceOrderBurnsFast", "PlaceOrderBurnsSlow", "ReadOrderBurnsFast", "ReadOrderBurnsSlow"},
			shows:  []string{"orders.fault-rpc-error-percent", "UNAVAILABLE"},
			inject: flag("orders.fault-rpc-error-percent", "50"),
		},
		{
			about:  "the provider has taken the money for an order twice",
			alerts: []string{"BooksDiffer", "MoneyReconcilesBurnsFast", "MoneyReconcilesBurnsSlow"},
			shows:  []string{"the books differ", "is not the payment's"},
			inject: chargeAgain,
		},
		{
			about:  "one of the two entries of a charge is gone from the ledger",
			alerts: []string{"LedgerDoesNotBalance"},
			shows:  []string{"provider_receivable"},
			inject: unbalance,
		},
	}
}

// causes are the faults that only a cause is named for.
func causes() []fault {
	return []fault{
		{
			about:  "the payment provider answers 503",
			alerts: []string{"BreakerOpen"},
			shows:  []string{"provider.outage", "dependency=provider"},
			inject: flag("provider.outage", "error"),
		},
		{
			about:  "the consumers of inventory take 20 s for every batch",
			alerts: []string{"ConsumerLagGrows"},
			shows:  []string{"inventory.fault-handler-latency-ms"},
			inject: flag("inventory.fault-handler-latency-ms", "20000"),
		},
		{
			about:  "Postgres lets inventory_app in no more",
			alerts: []string{"ConsumerPaused"},
			shows:  []string{"too many connections for role"},
			inject: shutOut,
		},
		{about: "the broker hangs (SIGSTOP)", alerts: []string{"OutboxIsOld"}, shows: []string{"the broker does not answer"}, inject: hang("kafka")},
		{about: "inventory hangs (SIGSTOP)", alerts: []string{"ServiceDown"}, shows: []string{"not ready"}, inject: hang("inventory")},
		{
			about:  "the lease of orders' outbox is held by nobody who runs",
			alerts: []string{"NobodyLeads"},
			shows:  []string{"nobody", usurper},
			inject: usurp,
		},
		{
			about:  "payments says of a confirmed order that it was refunded",
			alerts: []string{"OrderNeedsOperator"},
			shows:  []string{"was undone after the order was confirmed"},
			inject: contradict,
		},
		{
			about:  "another program fills the Redis of orders, 100 keys of 64 KiB a second",
			alerts: []string{"CacheEvicts"},
			shows:  []string{"maxmemory_human:32.00M", "allkeys-lfu"},
			inject: crowd,
		},
		{
			about:  "a file system is 97 % full",
			alerts: []string{"DiskFillsUp"},
			shows:  []string{"97%", "forgotten.dump"},
			needs:  aDiskToFill,
			inject: fill,
		},
		{
			about:  "a session of the superuser forgets its transaction",
			alerts: []string{"TransactionIdles"},
			shows:  []string{"idle in transaction"},
			inject: forget,
		},
		{
			about:  "nobody reads a replication slot",
			alerts: []string{"ReplicationSlotRetains"},
			shows:  []string{slot},
			inject: retain,
		},
	}
}

// Alerts are all that the drill makes fire.
func Alerts() []string {
	var names []string
	for _, f := range faults() {
		names = append(names, f.alerts...)
	}
	slices.Sort(names)
	return names
}

// choose returns the faults of the alerts that are asked for, of all without one.
// Any of an alert's page's names will do: PlaceOrderBurns means both.
func choose(only []string) ([]fault, error) {
	if len(only) == 0 {
		return faults(), nil
	}
	var chosen []fault
	for _, f := range faults() {
		if slices.ContainsFunc(f.alerts, func(a string) bool {
			return slices.Contains(only, a) || slices.Contains(only, runbooks.For(a))
		}) {
			chosen = append(chosen, f)
		}
	}
	for _, name := range only {
		if !slices.ContainsFunc(Alerts(), func(a string) bool { return a == name || runbooks.For(a) == name }) {
			return nil, fmt.Errorf("--only %s: there are %s", name, strings.Join(Alerts(), ", "))
		}
	}
	return chosen, nil
}
