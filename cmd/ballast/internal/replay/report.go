package replay

import (
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"example.com/ballast/cmd/ballast/internal/reconcile"
	"example.com/ballast/cmd/ballast/internal/retail"
	ordersv1 "example.com/ballast/gen/orders/v1"
)

// Tally counts orders and their lines.
type Tally struct {
	Orders int `json:"orders"`
	Lines  int `json:"lines"`
}

func (t *Tally) count(lines int) {
	t.Orders++
	t.Lines += lines
}

// Tallies counts by reason.
type Tallies map[string]*Tally

func (t Tallies) add(reason string, lines int) {
	if t[reason] == nil {
		t[reason] = &Tally{}
	}
	t[reason].count(lines)
}

func (t Tallies) sum() Tally {
	var sum Tally
	for _, one := range t {
		sum.Orders += one.Orders
		sum.Lines += one.Lines
	}
	return sum
}

// Latency is a distribution in milliseconds.
type Latency struct {
	P50 float64 `json:"p50Millis"`
	P95 float64 `json:"p95Millis"`
	P99 float64 `json:"p99Millis"`
	Max float64 `json:"maxMillis"`
	N   int64   `json:"n"`
}

func latency(h *hdrhistogram.Histogram) Latency {
	const microsPerMilli = 1000.0
	at := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / microsPerMilli }
	return Latency{P50: at(50), P95: at(95), P99: at(99), Max: float64(h.Max()) / microsPerMilli, N: h.TotalCount()}
}

// Report is what a replay found.
type Report struct {
	// The file.
	Lines          int                   `json:"lines"`
	Invoices       int                   `json:"invoices"`
	EmptyInvoices  int                   `json:"emptyInvoices"`
	Guests         int                   `json:"guests"`
	Products       int                   `json:"products"`
	RoundedPrices  int                   `json:"roundedPrices"`
	Repriced       int                   `json:"repricedLines"`
	RefusedLines   map[retail.Reason]int `json:"refusedLines"`
	ReturnInvoices int                   `json:"returnInvoices"`
	ReturnLines    int                   `json:"returnLines"`

	// The invoices: placed now, placed in a run before, refused by orders, or
	// without a definite answer.
	Placed        Tally   `json:"placed"`
	AlreadyThere  Tally   `json:"alreadyThere"`
	RefusedOrders Tallies `json:"refusedOrders"`
	Unanswered    Tallies `json:"unanswered"`
	// UnaccountedLines is what is left of Lines after all of the above; not
	// zero is a defect.
	UnaccountedLines int `json:"unaccountedLines"`

	// What became of the orders placed now and before.
	Confirmed     int            `json:"confirmed"`
	Cancelled     map[string]int `json:"cancelled"`
	NeedsOperator int            `json:"needsOperator"`
	Open          int            `json:"open"`

	PlacingSeconds float64 `json:"placingSeconds"`
	// PlacedPerSecond and DonePerSecond count new orders: answered, and come to
	// their end, by the first order's creation and the last one's last event.
	PlacedPerSecond float64 `json:"placedPerSecond"`
	DonePerSecond   float64 `json:"donePerSecond"`
	// PlaceOrder is measured here, retries included.
	PlaceOrder Latency `json:"placeOrder"`
	// EndToEnd is from an order's creation to its last event, by the services' clock.
	EndToEnd Latency        `json:"endToEnd"`
	Retries  map[string]int `json:"retries"`

	Reconciliation *reconcile.Result `json:"reconciliation"`

	found []reconcile.Difference // in the answers
}

func newReport(cfg *Config) *Report {
	h := cfg.History
	return &Report{
		Lines: h.Lines, Invoices: len(h.Invoices), EmptyInvoices: h.EmptyInvoices, Guests: h.Guests(),
		RoundedPrices: h.RoundedPrices, RefusedLines: h.Refused,
		ReturnInvoices: h.ReturnInvoices, ReturnLines: h.ReturnLines,
		RefusedOrders: Tallies{}, Unanswered: Tallies{}, Cancelled: map[string]int{},
	}
}

// OK tells whether everything adds up.
func (r *Report) OK() bool {
	return r.UnaccountedLines == 0 && len(r.Unanswered) == 0 && len(r.Reconciliation.Differences) == 0
}

// finish fills in what is known at the end.
func (r *Report) finish(run *run, result *reconcile.Result) {
	refused := 0
	for _, n := range r.RefusedLines {
		refused += n
	}
	r.UnaccountedLines = r.Lines - r.Placed.Lines - r.AlreadyThere.Lines - r.RefusedOrders.sum().Lines - r.Unanswered.sum().Lines - refused - r.ReturnLines
	result.Differences = append(r.found, result.Differences...)
	r.Reconciliation = result
	r.Retries = run.client.Retries.Counts()
	r.PlaceOrder = latency(run.latency)
	r.outcomes(run, result.Books.Orders)
	if r.PlacingSeconds > 0 {
		r.PlacedPerSecond = float64(r.Placed.Orders) / r.PlacingSeconds
	}
}

// outcomes counts what became of the file's orders and how long the new ones took.
func (r *Report) outcomes(run *run, orders []*ordersv1.Order) {
	endToEnd := newHistogram()
	var first, last time.Time
	for _, o := range orders {
		id := o.GetOrderId()
		if !run.accepted[id] {
			continue
		}
		switch o.GetStatus() {
		case ordersv1.OrderStatus_ORDER_STATUS_CONFIRMED:
			r.Confirmed++
		case ordersv1.OrderStatus_ORDER_STATUS_CANCELLED:
			r.Cancelled[strings.ToLower(strings.TrimPrefix(o.GetCancelReason().String(), "CANCEL_REASON_"))]++
		case ordersv1.OrderStatus_ORDER_STATUS_NEEDS_OPERATOR:
			r.NeedsOperator++
		default:
			r.Open++
			continue
		}
		if run.before[id] {
			continue
		}
		created, updated := o.GetCreateTime().AsTime(), o.GetUpdateTime().AsTime()
		if first.IsZero() || created.Before(first) {
			first = created
		}
		if updated.After(last) {
			last = updated
		}
		_ = endToEnd.RecordValue(updated.Sub(created).Microseconds()) // beyond the range: only above 10 min
	}
	r.EndToEnd = latency(endToEnd)
	if span := last.Sub(first).Seconds(); span > 0 {
		r.DonePerSecond = float64(endToEnd.TotalCount()) / span
	}
}
