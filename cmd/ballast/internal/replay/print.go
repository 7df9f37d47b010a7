package replay

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
)

// Print writes the report as a table.
func (r *Report) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\t\n", args...) } // Flush reports what fails
	row("\torders\tlines")
	row("in the file\t%d\t%d", r.Invoices+r.EmptyInvoices+r.ReturnInvoices, r.Lines)
	row("placed now\t%d\t%d", r.Placed.Orders, r.Placed.Lines)
	row("already there\t%d\t%d", r.AlreadyThere.Orders, r.AlreadyThere.Lines)
	row("returns (C...)\t%d\t%d", r.ReturnInvoices, r.ReturnLines)
	row("nothing left to order\t%d\t", r.EmptyInvoices)
	for _, reason := range byCount(r.RefusedLines) {
		row("refused: %s\t\t%d", reason, r.RefusedLines[reason])
	}
	for _, reason := range slices.Sorted(maps.Keys(r.RefusedOrders)) {
		row("refused by orders: %s\t%d\t%d", reason, r.RefusedOrders[reason].Orders, r.RefusedOrders[reason].Lines)
	}
	for _, reason := range slices.Sorted(maps.Keys(r.Unanswered)) {
		row("NO ANSWER, %s\t%d\t%d", reason, r.Unanswered[reason].Orders, r.Unanswered[reason].Lines)
	}
	row("unaccounted for\t\t%d", r.UnaccountedLines)
	row("\t\t")
	row("confirmed\t%d\t", r.Confirmed)
	for _, reason := range byCount(r.Cancelled) {
		row("cancelled: %s\t%d\t", reason, r.Cancelled[reason])
	}
	row("needs an operator\t%d\t", r.NeedsOperator)
	row("not terminal\t%d\t", r.Open)
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
