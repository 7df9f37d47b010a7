package drill

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Report is what a drill found.
type Report struct {
	// Name of the drill and what it shows, in a sentence.
	Name  string `json:"name"`
	About string `json:"about"`
	// Seed makes the drill's choices again.
	Seed uint64 `json:"seed,omitempty"`
	// Tables have the numbers.
	Tables []Table `json:"tables"`
	// Checks are what must hold.
	Checks []Check `json:"checks"`
}

// Table is one table of numbers, ready to print.
type Table struct {
	Title string     `json:"title,omitempty"`
	Head  []string   `json:"head"`
	Rows  [][]string `json:"rows"`
}

// Check is one thing that must hold, with what was seen.
type Check struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	Seen string `json:"seen"`
}

// Check adds one.
func (r *Report) Check(ok bool, name, seen string, args ...any) {
	r.Checks = append(r.Checks, Check{Name: name, OK: ok, Seen: fmt.Sprintf(seen, args...)})
}

// OK tells whether everything holds.
func (r *Report) OK() bool {
	for _, c := range r.Checks {
		if !c.OK {
			return false
		}
	}
	return len(r.Checks) > 0
}

// Print writes the report for a person.
func (r *Report) Print(out io.Writer) error {
	fmt.Fprintf(out, "\n%s: %s\n", r.Name, r.About)
	if r.Seed != 0 {
		fmt.Fprintf(out, "seed %d\n", r.Seed)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, t := range r.Tables {
		fmt.Fprintf(w, "\n%s\n", t.Title)
		for _, row := range append([][]string{t.Head}, t.Rows...) {
			fmt.Fprintf(w, "  %s\n", strings.Join(row, "\t"))
		}
	}
	fmt.Fprintln(w)
	for _, c := range r.Checks {
		fmt.Fprintf(w, "%s\t%s\t%s\n", verdict(c.OK), c.Name, c.Seen)
	}
	return w.Flush()
}

// Markdown writes the report as a page of the docs.
func (r *Report) Markdown(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s\n", r.Name, r.About)
	for _, t := range r.Tables {
		fmt.Fprintf(&b, "\n## %s\n\n", t.Title)
		row := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
		row(t.Head)
		fmt.Fprintf(&b, "|%s\n", strings.Repeat("---|", len(t.Head)))
		for _, cells := range t.Rows {
			row(cells)
		}
	}
	b.WriteString("\n## What had to hold\n\n| | what | seen |\n|---|---|---|\n")
	for _, c := range r.Checks {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", verdict(c.OK), c.Name, c.Seen)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// JSON writes the report for a machine.
func (r *Report) JSON(out io.Writer) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

func verdict(ok bool) string {
	if ok {
		return "holds"
	}
	return "FAILS"
}
