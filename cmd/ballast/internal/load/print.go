package load

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
	for _, m := range []*Measurement{r.Closed, r.Open} {
		if m != nil {
			m.print(w)
		}
	}
	row(w, "PEAK MEMORY", "MiB")
	var sum int64
	for _, name := range slices.Sorted(maps.Keys(r.PeakRSS)) {
		row(w, "  "+name, fmt.Sprintf("%.0f", float64(r.PeakRSS[name])/(1<<20)))
		sum += r.PeakRSS[name]
	}
	row(w, "  sum", fmt.Sprintf("%.0f", float64(sum)/(1<<20)))
	if r.Control != nil {
		row(w, "")
		row(w, "CONTROL: three one-row commits, loops/s", fmt.Sprintf("%.0f", r.Control.LoopsPerSecond))
		row(w, "  connections", fmt.Sprint(r.Control.Connections))
		row(w, "  best checkout rate / control", fmt.Sprintf("%.0f %%", 100*r.ControlRatio))
	}
	return w.Flush()
}

func (m *Measurement) print(w io.Writer) {
	row(w, m.setting(), fmt.Sprintf("(%.0f s)", m.Seconds))
	row(w, "completed checkouts/s", fmt.Sprintf("%.0f", m.PerSecond))
	if !m.KeptUp {
		row(w, "  it does not keep up: drained after", fmt.Sprintf("%.1f s", m.DrainSeconds))
	}
	for _, n := range []struct {
		name  string
		count int
		show  bool
	}{
		{"sent", m.Sent, true}, {"placed", m.Placed, true}, {"confirmed", m.Confirmed, true}, {"refused, latest: " + m.Refusal, m.Refused, m.Refused > 0},
		{"cancelled", m.NotConfirmed, m.NotConfirmed > 0}, {"not ended", m.NotEnded, m.NotEnded > 0},
	} {
		if n.show {
			row(w, "  "+n.name, fmt.Sprint(n.count))
		}
	}
	row(w, "milliseconds", "p50", "p95", "p99", "max")
	latency := func(name string, l Latency) { row(w, name, tenths(l.P50), tenths(l.P95), tenths(l.P99), tenths(l.Max)) }
	latency("  PlaceOrder", m.PlaceOrder)
	latency("  end to end", m.EndToEnd)
	for _, s := range m.Steps {
		latency("    "+s.Name, s.Latency)
	}
	m.Cost.print(w)
	row(w, "")
}

func (c *Cost) print(w io.Writer) {
	row(w, "per completed checkout")
	if len(c.CPUByProcess) == 0 {
		row(w, "  CPU: not measured, there is no /proc here")
	} else {
		row(w, fmt.Sprintf("  CPU us (%.2f cores busy)", c.Cores), fmt.Sprintf("%.0f", c.CPUMicros))
	}
	names := slices.SortedFunc(maps.Keys(c.CPUByProcess), func(a, b string) int {
		return cmp.Compare(c.CPUByProcess[b], c.CPUByProcess[a])
	})
	for _, name := range names {
		row(w, "    "+name, fmt.Sprintf("%.0f", c.CPUByProcess[name]))
	}
	if c.WALBytes > 0 {
		c.printDatabase(w)
	}
	row(w, "  messages", hundredths(c.Messages))
	for _, topic := range slices.Sorted(maps.Keys(c.MessagesByTopic)) {
		row(w, "    "+topic, hundredths(c.MessagesByTopic[topic]))
	}
}

func (c *Cost) printDatabase(w io.Writer) {
	row(w, "  transactions", hundredths(c.Transactions))
	if c.Statements > 0 {
		row(w, "  statements", hundredths(c.Statements))
	} else {
		row(w, "  statements: not counted, `ballast up --statements` lets Postgres count them")
	}
	row(w, "  rows inserted", tenths(c.RowsInserted))
	row(w, "  rows updated", tenths(c.RowsUpdated))
	row(w, "  rows deleted", tenths(c.RowsDeleted))
	row(w, "  WAL bytes", fmt.Sprintf("%.0f", c.WALBytes))
}

func tenths(f float64) string     { return fmt.Sprintf("%.1f", f) }
func hundredths(f float64) string { return fmt.Sprintf("%.2f", f) }

// row writes a name and its figures in columns; an error shows at Flush.
func row(w io.Writer, name string, figures ...string) {
	_, _ = fmt.Fprintf(w, "%-44s", name)
	for _, figure := range figures {
		_, _ = fmt.Fprintf(w, " %10s", figure)
	}
	_, _ = fmt.Fprintln(w)
}
