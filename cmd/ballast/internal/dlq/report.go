package dlq

import (
	"cmp"
	"slices"
)

// Fate is what becomes of a letter in one run.
type Fate string

// The fates.
const (
	Stays      Fate = "stays"      // the filter, the limit or a hollow letter: it stays open
	Replays    Fate = "replay"     // into the retry topic
	Quarantine Fate = "quarantine" // replayed too often already
	Discards   Fate = "discard"    // given up for good
)

// Row counts the letters that have group, topic, reason, type and fate in common.
type Row struct {
	Group   string `json:"group"`
	Topic   string `json:"topic"`
	Reason  string `json:"reason"`
	Type    string `json:"type"`
	Fate    Fate   `json:"fate,omitempty"`
	Letters int    `json:"letters"`
}

// Report says what a run did, or would do.
type Report struct {
	DryRun bool  `json:"dryRun"`
	Rows   []Row `json:"rows"`
	// Counts by fate. What stays counts in a dry run only: a run does not read
	// what lies behind the last letter that it moves.
	Counts map[Fate]int `json:"counts"`
}

// Moved is how many letters went, or would go, somewhere else.
func (r *Report) Moved() int { return r.Counts[Replays] + r.Counts[Quarantine] + r.Counts[Discards] }

// Tally counts letters.
type Tally map[Row]int

// Add counts one letter.
func (t Tally) Add(l *Letter, fate Fate) {
	t[Row{Group: l.Group, Topic: l.Topic, Reason: l.Reason, Type: l.Type, Fate: fate}]++
}

// Rows returns the counts, the largest first.
func (t Tally) Rows() []Row {
	rows := make([]Row, 0, len(t))
	for row, n := range t {
		row.Letters = n
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(b.Letters, a.Letters), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Topic, b.Topic),
			cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Fate, b.Fate))
	})
	return rows
}

func (t Tally) report(dry bool) *Report {
	r := &Report{DryRun: dry, Rows: t.Rows(), Counts: map[Fate]int{}}
	for _, row := range r.Rows {
		r.Counts[row.Fate] += row.Letters
	}
	return r
}
