// Package replay places a shop's order history through the public API and then
// reconciles all books from outside.
//
// Invariants:
//   - every line of the file is accounted for: lines = placed now + placed
//     before + refused by a reason + returned;
//   - an invoice has one idempotency key, whatever the run: a second run of the
//     same file places nothing twice;
//   - no answer is guessed: an order whose placing stayed ambiguous to the end
//     is a failure of the run, and so is any difference between the books.
package replay

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sync/errgroup"

	"example.com/ballast/cmd/ballast/internal/api"
	"example.com/ballast/cmd/ballast/internal/catalogue"
	"example.com/ballast/cmd/ballast/internal/reconcile"
	"example.com/ballast/cmd/ballast/internal/retail"
	ordersv1 "example.com/ballast/gen/orders/v1"
)

// Config says what to replay and how.
type Config struct {
	History *retail.History
	// Currency of the file's prices, an ISO 4217 code with two decimals.
	Currency string
	// Stock is the number of units to receive of each SKU; zero means as many
	// as the file's invoices want.
	Stock int32
	// Speedup divides the time between the invoices; zero means full speed.
	Speedup float64
	// Concurrency bounds the orders being placed at once.
	Concurrency int
	// Wait bounds every wait: for the services, for the catalogue, for the last orders.
	Wait time.Duration
	// Progress, when set, is told where the run stands. Calls do not overlap.
	Progress func(Progress)
}

// Progress is where a run stands.
type Progress struct {
	// Phase is what is being done.
	Phase string
	// Done of Total invoices were answered.
	Done, Total int
	// Open orders are not terminal yet.
	Open int
}

// Phases of a run.
const (
	PhaseCatalogue = "loading the catalogue"
	PhasePlacing   = "placing orders"
	PhaseWaiting   = "waiting for the last orders and comparing the books"
)

// Run replays the history. An error means that the run could not be finished;
// what it found otherwise is in the report.
func Run(ctx context.Context, c *api.Client, cfg *Config) (*Report, error) {
	r := &run{cfg: cfg, client: c, report: newReport(cfg), before: map[string]bool{}}
	r.progress(Progress{Phase: PhaseCatalogue, Total: len(cfg.History.Invoices)})
	products := cfg.History.Catalogue()
	if err := load(ctx, c, cfg, products); err != nil {
		return nil, err
	}
	r.report.Products = len(products)
	r.report.Repriced = cfg.History.Repriced(products)
	r.prices = make(map[string]int64, len(products))
	for _, p := range products {
		r.prices[p.SKU] = p.Price
	}
	// What is there before tells a repeated answer from a new order; comparing
	// times instead would trust two clocks.
	err := c.EachOrder(ctx, func(o *ordersv1.Order) { r.before[o.GetOrderId()] = true })
	if err != nil {
		return nil, fmt.Errorf("list the orders from before: %w", err)
	}
	if err := r.placeAll(ctx); err != nil {
		return nil, err
	}
	total := len(cfg.History.Invoices)
	result, err := reconcile.Run(ctx, c, r.acceptedIDs(), cfg.Wait, func(open int) {
		r.progress(Progress{Phase: PhaseWaiting, Done: total, Total: total, Open: open})
	})
	if err != nil {
		return nil, fmt.Errorf("reconcile: %w", err)
	}
	r.report.finish(r, result)
	return r.report, nil
}

// run is the state of one replay.
type run struct {
	cfg    *Config
	client *api.Client
	prices map[string]int64
	before map[string]bool

	mu       sync.Mutex
	done     int
	accepted map[string]bool // order ids answered in this run
	latency  *hdrhistogram.Histogram
	report   *Report
}

func (r *run) progress(p Progress) {
	if r.cfg.Progress != nil {
		r.cfg.Progress(p)
	}
}

// placeAll places every invoice, with bounded concurrency.
func (r *run) placeAll(ctx context.Context) error {
	r.accepted = map[string]bool{}
	r.latency = newHistogram()
	invoices := r.cfg.History.Invoices
	clock := newPacer(r.cfg.Speedup, invoices)
	started := time.Now()
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(r.cfg.Concurrency)
	for i := range invoices {
		if err := clock.wait(groupCtx, invoices[i].Time); err != nil {
			break
		}
		group.Go(func() error { return r.place(groupCtx, &invoices[i]) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	r.report.PlacingSeconds = time.Since(started).Seconds()
	return ctx.Err()
}

// place places one invoice and files the outcome.
func (r *run) place(ctx context.Context, invoice *retail.Invoice) error {
	req := request(invoice)
	started := time.Now()
	order, err := r.client.Place(ctx, invoice.Customer, "invoice-"+invoice.Number, req)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	elapsed := time.Since(started)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done++
	defer r.progress(Progress{Phase: PhasePlacing, Done: r.done, Total: len(r.cfg.History.Invoices)})
	lines := len(invoice.Lines)
	switch {
	case err != nil && api.Transient(err):
		r.report.Unanswered.add("gave up: "+api.Refusal(err), lines)
	case err != nil:
		r.report.RefusedOrders.add(api.Refusal(err), lines)
	case r.before[order.GetOrderId()]:
		r.accepted[order.GetOrderId()] = true
		r.report.AlreadyThere.count(lines)
	default:
		r.accepted[order.GetOrderId()] = true
		_ = r.latency.RecordValue(elapsed.Microseconds()) // beyond the range: only above 10 min
		r.report.Placed.count(lines)
		r.checkAnswer(order, invoice)
	}
	return nil
}

// checkAnswer holds a new order to what the invoice and the catalogue say.
func (r *run) checkAnswer(order *ordersv1.Order, invoice *retail.Invoice) {
	var want int64
	for _, line := range invoice.Lines {
		want += int64(line.Quantity) * r.prices[line.SKU]
	}
	if got := order.GetTotal(); got.GetMinorUnits() != want || got.GetCurrency() != r.cfg.Currency {
		r.report.found = append(r.report.found, reconcile.Difference{
			Check: "orders", Subject: order.GetOrderId(),
			Problem: fmt.Sprintf("invoice %s comes to %s %d, the answer says %s %d", invoice.Number, r.cfg.Currency, want, got.GetCurrency(), got.GetMinorUnits()),
		})
	}
	if order.GetCustomerId() != invoice.Customer {
		r.report.found = append(r.report.found, reconcile.Difference{
			Check: "orders", Subject: order.GetOrderId(),
			Problem: fmt.Sprintf("invoice %s is of customer %s, the order of %s", invoice.Number, invoice.Customer, order.GetCustomerId()),
		})
	}
}

func (r *run) acceptedIDs() []string {
	ids := make([]string, 0, len(r.accepted))
	for id := range r.accepted {
		ids = append(ids, id)
	}
	return ids
}

func request(invoice *retail.Invoice) *ordersv1.PlaceOrderRequest {
	req := &ordersv1.PlaceOrderRequest{ShipTo: &ordersv1.Address{Country: invoice.Country}}
	for _, line := range invoice.Lines {
		req.Lines = append(req.Lines, &ordersv1.LineRequest{Sku: line.SKU, Quantity: line.Quantity})
	}
	return req
}

// load makes the file's products known and receives their stock. The receipts'
// names come from the file's content and the stock asked for, so a second run
// receives nothing.
func load(ctx context.Context, c *api.Client, cfg *Config, products []retail.Product) error {
	amount := "all"
	if cfg.Stock > 0 {
		amount = strconv.Itoa(int(cfg.Stock))
	}
	cat := &catalogue.Catalogue{Currency: cfg.Currency, Receipt: "replay-" + cfg.History.Digest + "-" + amount, Wait: cfg.Wait}
	for _, p := range products {
		units := int64(cfg.Stock)
		if units == 0 {
			units = p.Wanted
		}
		if units > math.MaxInt32 {
			return fmt.Errorf("the file wants %d units of %s: more than one delivery can hold; give a --stock", units, p.SKU)
		}
		cat.Items = append(cat.Items, catalogue.Item{SKU: p.SKU, Description: p.Description, Price: p.Price, Units: int32(units)})
	}
	return catalogue.Load(ctx, c, cat)
}

// pacer holds back invoices until their time has come.
type pacer struct {
	speedup float64
	first   time.Time
	started time.Time
}

func newPacer(speedup float64, invoices []retail.Invoice) *pacer {
	p := &pacer{speedup: speedup, started: time.Now()}
	for i := range invoices {
		if at := invoices[i].Time; !at.IsZero() && (p.first.IsZero() || at.Before(p.first)) {
			p.first = at
		}
	}
	return p
}

// wait returns when an invoice made at that time is due. One without a readable
// time is due at once, after those before it in the file.
func (p *pacer) wait(ctx context.Context, at time.Time) error {
	if p.speedup <= 0 || at.IsZero() {
		return ctx.Err()
	}
	due := p.started.Add(time.Duration(float64(at.Sub(p.first)) / p.speedup))
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// newHistogram counts microseconds up to ten minutes with three digits.
func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, 600_000_000, 3) }
