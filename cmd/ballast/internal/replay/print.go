package replay

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
)

// Print writes the report as a table.
func (r *Report) Print(out io.Writer) error {
	w := bufio.NewWriter(out)
	row := func(name string, orders, lines any) { _, _ = fmt.Fprintf(w, "%-48s %8v %8v\n", name, orders, lines) } // Flush reports what fails
	row("", "orders", "lines")
	row("in the file", r.Invoices+r.EmptyInvoices+r.ReturnInvoices, r.Lines)
	row("placed now", r.Placed.Orders, r.Placed.Lines)
	row("already there", r.AlreadyThere.Orders, r.AlreadyThere.Lines)
	row("returns (C...)", r.ReturnInvoices, r.ReturnLines)
	row("nothing left to order", r.EmptyInvoices, "")
	for _, reason := range byCount(r.RefusedLines) {
		row("refused: "+string(reason), "", r.RefusedLines[reason])
	}
	for _, reason := range slices.Sorted(maps.Keys(r.RefusedOrders)) {
		row("refused by orders: "+reason, r.RefusedOrders[reason].Orders, r.RefusedOrders[reason].Lines)
	}
	for _, reason := range slices.Sorted(maps.Keys(r.Unanswered)) {
		row("NO ANSWER, "+reason, r.Unanswered[reason].Orders, r.Unanswered[reason].Lines)
	}
	row("unaccounted for", "", r.UnaccountedLines)
	row("", "", "")
	row("confirmed", r.Confirmed, "")
	for _, reason := range byCount(r.Cancelled) {
		row("cancelled: "+reason, r.Cancelled[reason], "")
	}
	row("needs an operator", r.NeedsOperator, "")
	row("not terminal", r.Open, "")
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%d products, %d guest orders, %d prices rounded to a penny, %d lines at the catalogue's price in place of their own\n"+
		"placed %.0f orders/s in %.1f s, %.0f orders/s to their end, retries %s\n"+
		"PlaceOrder  %s\nend to end  %s\n\n",
		r.Products, r.Guests, r.RoundedPrices, r.Repriced,
		r.PlacedPerSecond, r.PlacingSeconds, r.DonePerSecond, counts(r.Retries), r.PlaceOrder, r.EndToEnd)
	if err != nil {
		return err
	}
	return r.Reconciliation.Print(out)
}

// String is one line with the percentiles.
func (l Latency) String() string {
	if l.N == 0 {
		return "nothing measured"
	}
	return fmt.Sprintf("p50 %.1f ms  p95 %.1f ms  p99 %.1f ms  max %.1f ms  (%d)", l.P50, l.P95, l.P99, l.Max, l.N)
}

// byCount sorts names by descending count.
func byCount[K cmp.Ordered](counts map[K]int) []K {
	return slices.SortedFunc(maps.Keys(counts), func(a, b K) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
}

func counts(m map[string]int) string {
	if len(m) == 0 {
		return "none"
	}
	text := ""
	for i, name := range byCount(m) {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%d %s", m[name], name)
	}
	return text
}
