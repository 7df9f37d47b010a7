//go:build observability

package e2e_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"connectrpc.com/connect/v2"
	prometheus "github.com/prometheus/client_golang/api"
	prometheusv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"example.com/ballast/cmd/ballast/internal/api"
	"example.com/ballast/deploy/observability/dashboard"
	"example.com/ballast/deploy/observability/promql"
	"example.com/ballast/deploy/observability/registry"
	"example.com/ballast/deploy/observability/slo"
	inventoryv1 "example.com/ballast/gen/inventory/v1"
	ordersv1 "example.com/ballast/gen/orders/v1"
	paymentsv1 "example.com/ballast/gen/payments/v1"
)

// alertScale makes of the objectives' five minutes one, and of the time between two
// evaluations of their rules six seconds: all have been evaluated while the load is
// still within the shortest window.
const alertScale = 0.2

// question is an expression that must return something.
type question struct {
	from, expr string
	// quiet says why it may return nothing while all is well.
	quiet string
}

// onlyOnFault are series that appear in rules with their first fault, or where
// something is installed that is not part of a stack.
var onlyOnFault = map[string]string{
	"node_filesystem_avail_bytes": "where node_exporter is installed",
	"node_filesystem_size_bytes":  "where node_exporter is installed",
	"stream_paused":               "a group that has paused on a fault",
}

// TestEveryExpressionReturnsData asks a Prometheus, after a load that touches
// everything, for each expression of each dashboard, for what each rule records, and
// for each series that an alert looks at: an alert itself returns nothing while all
// is well. One that parses and returns nothing is a panel that stays empty, or an
// alert that never fires.
func TestEveryExpressionReturnsData(t *testing.T) {
	t.Parallel()
	p := startWith(t, []string{"--observability", "--alert-scale", fmt.Sprint(alertScale)}, "RETRY_DELAYS=250ms,500ms", "RECONCILE_EVERY=2s", "RECONCILE_GRACE=1s")
	state, err := p.home.Running()
	if err != nil {
		t.Fatal(err)
	}
	client, err := prometheus.NewClient(prometheus.Config{Address: state.Endpoints.Prometheus})
	if err != nil {
		t.Fatal(err)
	}
	ask := prometheusv1.NewAPI(client)
	began := time.Now()
	touchEverything(t.Context(), t, p, ask)
	loaded := time.Since(began)

	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	answered := 0
	// Scrapes and rules are some seconds behind the load.
	deadline := time.Now().Add(20 * time.Second)
	for _, q := range questions(t) {
		found, sample, err := evaluate(t.Context(), ask, q.expr)
		for err == nil && found == 0 && q.quiet == "" && time.Now().Before(deadline) {
			time.Sleep(500 * time.Millisecond)
			found, sample, err = evaluate(t.Context(), ask, q.expr)
		}
		switch {
		case err != nil:
			t.Errorf("%s: %s: %v", q.from, q.expr, err)
		case found > 0:
			answered++
		case q.quiet == "":
			t.Errorf("%s: returns nothing: %s", q.from, q.expr)
		default:
			sample = "may be empty: " + q.quiet
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", q.from, found, sample, q.expr)
	}
	_ = w.Flush() // Into memory.
	// A point on a latency panel opens its trace by this label.
	exemplars, err := ask.QueryExemplars(t.Context(), "rpc_server_call_duration_seconds_bucket", time.Now().Add(-time.Hour), time.Now())
	if err != nil || !slices.ContainsFunc(exemplars, func(r prometheusv1.ExemplarQueryResult) bool { return r.Exemplars[0].Labels["trace_id"] != "" }) {
		t.Errorf("no call of %d series has an exemplar with a trace (%v)", len(exemplars), err)
	}
	t.Logf("load of %v, asked for %v: %d expressions have data\nfrom\tseries\tsample\texpression\n%s", loaded.Round(time.Second), (time.Since(began) - loaded).Round(time.Second), answered, table.String())
}

// questions are the expressions of dashboards and of rules, and the selectors of alerts.
func questions(t *testing.T) []question {
	t.Helper()
	metrics, err := registry.Load()
	if err != nil {
		t.Fatal(err)
	}
	meanings, err := dashboard.NewMeanings(metrics)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := slo.Rules(alertScale)
	if err != nil {
		t.Fatal(err)
	}
	var all []question
	for _, e := range dashboard.Expressions(meanings) {
		all = append(all, question{"dashboard " + e.Dashboard + ": " + e.Panel, e.Expr, e.Quiet})
	}
	for _, g := range groups {
		for _, r := range g.Rules {
			if r.Record != "" {
				all = append(all, question{"rule " + r.Record, r.Expr, ""})
				continue
			}
			selectors, err := promql.Selectors(r.Expr)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range selectors {
				all = append(all, question{"alert " + r.Alert, s.Expr, onlyOnFault[s.Name]})
			}
		}
	}
	return all
}

// evaluate returns how many series an expression has, and one of their values. What
// is not a number was divided by nothing, and counts as nothing.
func evaluate(ctx context.Context, ask prometheusv1.API, expr string) (series int, sample string, err error) {
	value, _, _, err := ask.Query(ctx, expr, time.Now())
	if err != nil {
		return 0, "", err
	}
	switch v := value.(type) {
	case model.Vector:
		for _, s := range v {
			if !math.IsNaN(float64(s.Value)) {
				series++
				sample = s.Value.String()
			}
		}
		return series, sample, nil
	case *model.Scalar:
		return 1, v.Value.String(), nil
	}
	return 0, "", fmt.Errorf("returns a %s", value.Type())
}

// touchEverything makes whatever is counted happen, twice and more: what begins with
// its first event has no rate before its second.
func touchEverything(ctx context.Context, t *testing.T, p *platform, ask prometheusv1.API) {
	t.Helper()
	p.stock(ctx, 1000, "SHOWN", "GONE")
	deadLetters(ctx, t, p)
	far, short := request("SHOWN"), request("GONE")
	far.ShipTo.Country = "KP"
	short.Lines[0].Quantity = 1001
	for round := range 3 {
		customer := fmt.Sprint("round-", round)
		p.faults(map[string]any{"error_rate": 0.2, "webhook_duplicate_rate": 0.5})
		orders := ends(ctx, t, p, customer, 20, request("SHOWN"))
		p.faults(map[string]any{"decline_rate": 1})
		ends(ctx, t, p, "declined-"+customer, 3, request("SHOWN"))
		p.faults(map[string]any{})
		ends(ctx, t, p, "short-"+customer, 2, short)
		ends(ctx, t, p, "far-"+customer, 2, far)
		reads(ctx, t, p, customer, orders)
	}
	refusals(ctx, t, p)
	setAside(ctx, t, p, ask)
}

// setAside makes a handler panic until messages are set aside, and mends it.
func setAside(ctx context.Context, t *testing.T, p *platform, ask prometheusv1.API) {
	t.Helper()
	p.set("inventory.fault-handler-panic", "true")
	n := 0
	eventually(t, "a message is set aside", func() bool {
		n++
		_, err := p.Place(ctx, "panic", fmt.Sprint(n), request("SHOWN"))
		fatal(t, err)
		time.Sleep(300 * time.Millisecond) // Few: many would stop the consumer.
		found, _, err := evaluate(ctx, ask, "stream_set_aside_total")
		fatal(t, err)
		return found > 0
	})
	p.set("inventory.fault-handler-panic", "false")
}

// ends places orders at once and waits for their ends.
func ends(ctx context.Context, t *testing.T, p *platform, customer string, n int, req *ordersv1.PlaceOrderRequest) []string {
	t.Helper()
	var wg sync.WaitGroup
	orders := make([]string, n)
	for i := range n {
		wg.Go(func() {
			o, err := p.Place(ctx, customer, fmt.Sprint(i), req)
			if err != nil {
				t.Errorf("%s: %v", customer, err)
				return
			}
			orders[i] = o.GetOrderId()
			await(ctx, t, p, o.GetOrderId())
		})
	}
	wg.Wait()
	return orders
}

// reads asks for everything twice, so that caches answer as well.
func reads(ctx context.Context, t *testing.T, p *platform, customer string, orders []string) {
	t.Helper()
	ctx = api.As(ctx, customer)
	for range 2 {
		for _, id := range orders {
			_, err := api.Do(ctx, p.Client, p.Orders.GetOrder, &ordersv1.GetOrderRequest{OrderId: id})
			fatal(t, err)
		}
		_, err := api.Do(ctx, p.Client, p.Orders.ListOrders, &ordersv1.ListOrdersRequest{})
		fatal(t, err)
		_, err = api.Do(ctx, p.Client, p.Inventory.GetProduct, &inventoryv1.GetProductRequest{Sku: "SHOWN"})
		fatal(t, err)
		_, err = api.Do(ctx, p.Client, p.Inventory.ListProducts, &inventoryv1.ListProductsRequest{})
		fatal(t, err)
		fatal(t, p.EachLedgerEntry(t.Context(), func(*paymentsv1.LedgerEntry) {}))
	}
}

// refusals calls until a customer is over the limit, and until there is no place.
func refusals(ctx context.Context, t *testing.T, p *platform) {
	t.Helper()
	for _, flag := range []string{"orders.rate-limit", "orders.rate-burst", "orders.shed-min", "orders.shed-max"} {
		p.set(flag, "1")
	}
	refused := map[connect.Code]bool{}
	eventually(t, "a call over the limit and one without a place", func() bool {
		var wg sync.WaitGroup
		codes := make(chan connect.Code, 64)
		for i := range cap(codes) {
			wg.Go(func() {
				customer := api.As(ctx, fmt.Sprint("crowd-", i%8))
				_, _, err := api.Once(customer, p.Client, nil, p.Orders.ListOrders, &ordersv1.ListOrdersRequest{})
				codes <- connect.CodeOf(err)
			})
		}
		wg.Wait()
		close(codes)
		for code := range codes {
			refused[code] = true
		}
		return refused[connect.CodeResourceExhausted] && refused[connect.CodeUnavailable]
	})
	for _, flag := range []string{"orders.rate-limit", "orders.rate-burst", "orders.shed-min", "orders.shed-max"} {
		p.set(flag, "1000")
	}
}

func (p *platform) set(flag, value string) {
	p.t.Helper()
	if out, err := p.run("flag", "set", flag, value); err != nil {
		p.t.Fatalf("flag %s: %v\n%s", flag, err, out)
	}
}

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
