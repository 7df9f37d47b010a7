package traceview

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// shown are the attributes that the tree prints behind a span's name, by the word
// that stands for each.
var shown = []struct{ word, key string }{
	{"order", "order.id"}, {"", "cloudevents.event_type"}, {"group", "messaging.consumer.group.name"},
	{"partition", "messaging.destination.partition.id"}, {"offset", "messaging.kafka.offset"},
	{"batch", "messaging.batch.message_count"}, {"batch", "batch.items"},
	{"attempt", "stream.attempt"}, {"replays", "stream.replays"}, {"reason", "stream.reason"},
	{"outcome", "stream.outcome"}, {"outcome", "payment.outcome"}, {"outcome", "payment.notice"},
	{"outbox wait s", "outbox.wait"}, {"broker wait s", "stream.broker.wait"}, {"version", "order.version"},
}

// Print writes a trace as a tree: when each span began, in milliseconds after the
// first, how long it took, who did it, what it was, and how it ended. A span whose
// parent is in no file stands at the margin and says so. Statements of databases
// are left out unless all is true.
func Print(out io.Writer, spans []Span, all bool) error {
	if len(spans) == 0 {
		return nil
	}
	t := tree{out: tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight), below: map[string][]Span{}}
	known, services := map[string]bool{}, map[string]bool{}
	end := spans[0].Start
	for _, s := range spans {
		known[s.SpanID], services[s.Service] = true, true
		if e := s.Start.Add(s.Duration); e.After(end) {
			end = e
		}
	}
	for _, s := range spans {
		if s.statement() && !all {
			continue
		}
		parent := s.Parent
		if !known[parent] {
			parent = ""
		}
		t.below[parent] = append(t.below[parent], s)
	}
	t.began, t.trace = spans[0].Start, spans[0].TraceID
	fmt.Fprintf(out, "trace %s: %d spans of %d services in %s ms, from %s\n",
		t.trace, len(spans), len(services), millis(end.Sub(t.began)), t.began.Format(time.RFC3339Nano))
	fmt.Fprintln(t.out, "at ms\tms\t\tservice\t")
	t.print("", 0)
	return t.out.Flush()
}

type tree struct {
	out   *tabwriter.Writer
	began time.Time
	trace string
	below map[string][]Span // by parent
}

func (t *tree) print(parent string, depth int) {
	for _, s := range t.below[parent] {
		note := ""
		if depth == 0 && s.Parent != "" {
			note = "  (its parent " + s.Parent + " is in no file)"
		}
		// What is aligned to the left ends with the last tab.
		fmt.Fprintf(t.out, "%s\t%s\t\t%s\t  %s%s%s%s%s%s\n", millis(s.Start.Sub(t.began)), millis(s.Duration), s.Service,
			strings.Repeat("  ", depth), s.Name, note, t.details(&s), t.links(&s), failure(&s))
		t.print(s.SpanID, depth+1)
	}
}

// statement tells a span of a database, by either release of the conventions.
func (s *Span) statement() bool {
	return s.Attributes["db.system.name"]+s.Attributes["db.system"] != ""
}

func (t *tree) details(s *Span) string {
	var words []string
	for _, a := range shown {
		if v, ok := s.Attributes[a.key]; ok && v != "" {
			words = append(words, strings.TrimSpace(a.word+" "+v))
		}
	}
	if len(words) == 0 {
		return ""
	}
	return "  [" + strings.Join(words, ", ") + "]"
}

// links names the traces that a span points to, few of them in full.
func (t *tree) links(s *Span) string {
	const most = 3
	var words []string
	for i, l := range s.Links {
		switch {
		case i == most:
			words = append(words, fmt.Sprintf("and %d more", len(s.Links)-most))
		case i > most:
		case l.TraceID == t.trace:
			words = append(words, "this trace")
		default:
			words = append(words, l.TraceID)
		}
	}
	if s.DroppedLinks > 0 {
		words = append(words, fmt.Sprintf("%d links found no room", s.DroppedLinks))
	}
	if len(words) == 0 {
		return ""
	}
	return "  -> " + strings.Join(words, ", ")
}

func failure(s *Span) string {
	if s.Error == "" {
		return ""
	}
	return "  ERROR: " + s.Error
}

func millis(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d.Microseconds())/1000) }
