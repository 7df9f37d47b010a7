package reconcile

import (
	"fmt"
	"io"
	"maps"
	"slices"
)

// maxPrinted bounds the differences in the table; --json has all of them.
const maxPrinted = 50

// Print writes the result as text that ends with the number of differences.
func (r *Result) Print(out io.Writer) error {
	text := "orders:"
	for _, status := range slices.Sorted(maps.Keys(r.Orders)) {
		text += fmt.Sprintf(" %d %s", r.Orders[status], status)
	}
	text += fmt.Sprintf("\ncompared: %d lines of the provider's book (captured %d, refunded %d in minor units), %d ledger entries, %d SKUs, %d reservations\n",
		r.BookLines, r.Captured, r.Refunded, r.LedgerEntries, r.SKUs, r.Reservations)
	for i, d := range r.Differences {
		if i == maxPrinted {
			text += fmt.Sprintf("  and %d more (--json lists all)\n", len(r.Differences)-maxPrinted)
			break
		}
		text += fmt.Sprintf("  %-8s  %s  %s\n", d.Check, d.Subject, d.Problem)
	}
	text += fmt.Sprintf("differences: %d\n", len(r.Differences))
	_, err := io.WriteString(out, text)
	return err
}
