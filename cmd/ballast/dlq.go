package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.com/ballast/cmd/ballast/internal/dlq"
	"example.com/ballast/cmd/ballast/internal/stack"
)

// dlqTool is what the commands about dead letters share.
type dlqTool struct {
	home    func() stack.Home
	brokers []string
	asJSON  bool
	filter  dlq.Filter
	since   string
	until   string
}

func dlqCommand(home func() stack.Home) *cobra.Command {
	tool := &dlqTool{home: home}
	cmd := &cobra.Command{
		Use:   "dlq",
		Short: "Work off dead letters: list, show, replay, discard",
		Long: `A dead letter is a message that a consumer group has given up. It lies in
<topic>.<group>.dlq until an operator decides:

  replay   back into the group's own retry topic, after the cause is mended;
           one that was replayed three times already goes to quarantine instead
  discard  into <topic>.<group>.discarded, with the reason, who and when

Both move letters in Kafka transactions: a tool that is killed has moved a letter
or has not, and the same command goes on from there. What a filter passes over
stays. A letter that is handled twice has one effect: handlers are idempotent.

What a service itself could not publish is not in Kafka at all: see "dlq outbox".`,
		Example: `  ballast dlq list
  ballast dlq show 0199f0a2-6a0e-7c1b-9a5e-2f6d1c3b4a59
  ballast dlq replay --group payments --reason fault --dry-run
  ballast dlq replay --group payments --reason fault --rate 50
  ballast dlq discard --id payments.commands/0/1234 --reason "test message of 22 November"`,
	}
	flags := cmd.PersistentFlags()
	flags.StringSliceVar(&tool.brokers, "brokers", nil, "Kafka as host:port,... (default: KAFKA_BROKERS, else that of the stack in --home)")
	flags.BoolVar(&tool.asJSON, "json", false, "print JSON")
	cmd.AddCommand(tool.list(), tool.show(), tool.replay(), tool.discard(), tool.outbox())
	return cmd
}

// addFilter adds the flags that say which letters are meant. The reason's name
// is an argument: discarding has another reason.
func (t *dlqTool) addFilter(flags *pflag.FlagSet, reason string) {
	flags.StringVar(&t.filter.Group, "group", "", "consumer group that gave them up, such as payments")
	flags.StringVar(&t.filter.Topic, "topic", "", "topic that they were first in, such as payments.commands")
	flags.StringVar(&t.filter.Type, "type", "", "type of message: ChargePayment or payments.v1.ChargePayment")
	flags.StringVar(&t.filter.Reason, reason, "", "why they died: malformed, oversize, rejected, fault; - for those that don't say")
	flags.StringVar(&t.filter.Key, "order", "", "order id, or whatever the key is")
	flags.StringVar(&t.filter.ID, "id", "", "one message: its id, or topic/partition/offset of where it was first")
	flags.StringVar(&t.since, "since", "", "died then or later: a time such as 2026-11-22T09:00:00Z, or an age such as 2h")
	flags.StringVar(&t.until, "until", "", "died before: a time or an age")
}

// open checks the filter and returns a desk.
func (t *dlqTool) open() (*dlq.Desk, error) {
	for _, bound := range []struct {
		flag, value string
		at          *time.Time
	}{{"--since", t.since, &t.filter.Since}, {"--until", t.until, &t.filter.Until}} {
		at, err := moment(bound.value, time.Now())
		if err != nil {
			return nil, fmt.Errorf("%s %s: want a time such as 2026-11-22T09:00:00Z, or an age such as 2h", bound.flag, bound.value)
		}
		*bound.at = at
	}
	brokers, login, err := atKafka(t.home(), t.brokers)
	if err != nil {
		return nil, err
	}
	return dlq.NewDesk(login, brokers...)
}

// moment reads a time, or how long ago it was.
func moment(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if age, err := time.ParseDuration(s); err == nil {
		return now.Add(-age), nil
	}
	return time.Parse(time.RFC3339, s)
}

func (t *dlqTool) list() *cobra.Command {
	var quarantined, discarded bool
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List what nobody has decided about, oldest first, and count it", Args: cobra.NoArgs,
		Example: `  ballast dlq list --group payments --since 2h
  ballast dlq list --quarantine
  ballast dlq list --json --limit 0 | jq .totals`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			desk, err := t.open()
			if err != nil {
				return err
			}
			defer desk.Close()
			kind := dlq.Open
			switch {
			case quarantined:
				kind = dlq.Quarantined
			case discarded:
				kind = dlq.Discarded
			}
			found := letters{Letters: []*dlq.Letter{}}
			tally := dlq.Tally{}
			err = desk.Each(cmd.Context(), kind, t.filter, func(l *dlq.Letter) error {
				tally.Add(l, "")
				if found.Total++; limit == 0 || found.Total <= limit {
					found.Letters = append(found.Letters, l)
				}
				return nil
			})
			if err != nil {
				return err
			}
			found.Totals = tally.Rows()
			return finish(cmd.OutOrStdout(), t.asJSON, found, found.print, true)
		},
	}
	t.addFilter(cmd.Flags(), "reason")
	cmd.Flags().BoolVar(&quarantined, "quarantine", false, "list what was replayed too often")
	cmd.Flags().BoolVar(&discarded, "discarded", false, "list what was given up for good, with the reasons")
	cmd.Flags().IntVar(&limit, "limit", 50, "letters to list, 0 for all; the totals count all")
	cmd.MarkFlagsMutuallyExclusive("quarantine", "discarded")
	return cmd
}

// letters are what list prints.
type letters struct {
	Total   int           `json:"total"`
	Totals  []dlq.Row     `json:"totals"`
	Letters []*dlq.Letter `json:"letters"`
}

func (f letters) print(out io.Writer) error {
	if f.Total == 0 {
		_, err := fmt.Fprintln(out, "no dead letters")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row(w, "DIED", "GROUP", "SOURCE", "TYPE", "KEY", "REASON", "TRIES", "REPLAYS", "ID", "ERROR")
	for _, l := range f.Letters {
		said := l.Error
		if l.Discard != nil {
			said = l.Discard.Reason + " (" + l.Discard.By + ", " + stamp(l.Discard.At) + ")"
		}
		row(w, stamp(l.DiedAt), l.Group, l.Source, l.Type, shorten(l.Key, 40), l.Reason, strconv.Itoa(l.Attempts), strconv.Itoa(l.Replays), l.ID, shorten(said, 60))
	}
	if more := f.Total - len(f.Letters); more > 0 {
		row(w, fmt.Sprintf("... and %d more: --limit 0 lists all", more))
	}
	row(w, "")
	printRows(w, f.Totals, false)
	row(w, strconv.Itoa(f.Total), "in all")
	return w.Flush()
}

// printRows prints a histogram.
func printRows(w io.Writer, rows []dlq.Row, fates bool) {
	head := []string{"LETTERS", "GROUP", "TOPIC", "REASON", "TYPE"}
	if fates {
		head = append(head, "FATE")
	}
	row(w, head...)
	for _, r := range rows {
		cells := []string{strconv.Itoa(r.Letters), r.Group, r.Topic, r.Reason, r.Type}
		if fates {
			cells = append(cells, string(r.Fate))
		}
		row(w, cells...)
	}
}

// shorten keeps a cell on its line.
func shorten(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	if utf8.RuneCountInString(s) > most {
		return string([]rune(s)[:most-3]) + "..."
	}
	return s
}

func (t *dlqTool) show() *cobra.Command {
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show all that is in a letter: headers, origin, errors and the message", Args: cobra.ExactArgs(1),
		Long: `ID is the message's id, or topic/partition/offset of where it was first, as list
prints them. Quarantined and discarded letters are found too.`,
		Example: "  ballast dlq show payments.commands/0/1234",
		RunE: func(cmd *cobra.Command, args []string) error {
			t.filter.ID = args[0]
			desk, err := t.open()
			if err != nil {
				return err
			}
			defer desk.Close()
			found := 0
			for _, kind := range []dlq.Kind{dlq.Open, dlq.Quarantined, dlq.Discarded} {
				err := desk.Each(cmd.Context(), kind, t.filter, func(l *dlq.Letter) error {
					found++
					return t.printDetail(cmd.OutOrStdout(), l.Detail())
				})
				if err != nil {
					return err
				}
			}
			if found == 0 {
				return fmt.Errorf("there is no letter %s: `ballast dlq list` lists those that are open", args[0])
			}
			return nil
		},
	}
	return cmd
}

func (t *dlqTool) printDetail(out io.Writer, d dlq.Detail) error {
	if t.asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(d)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row(w, "id", d.ID)
	row(w, "type", d.Type)
	row(w, "key", shorten(d.Key, 200))
	row(w, "first in", d.Source)
	row(w, "now in", d.Box+"/"+d.Place)
	row(w, "group", d.Group)
	row(w, "reason", d.Reason)
	row(w, "error", shorten(d.Error, 2000))
	row(w, "attempts", fmt.Sprintf("%d, after %d replays", d.Attempts, d.Replays))
	for _, at := range []struct {
		name string
		time time.Time
	}{{"sent", d.SentAt}, {"failed first", d.FirstFailed}, {"died", d.DiedAt}} {
		if !at.time.IsZero() {
			row(w, at.name, stamp(at.time))
		}
	}
	if d.Discard != nil {
		row(w, "discarded", fmt.Sprintf("%s by %s: %s", stamp(d.Discard.At), d.Discard.By, shorten(d.Discard.Reason, 2000)))
	}
	row(w, "", "")
	for _, h := range d.Headers {
		value := h.Value
		if h.Raw != nil {
			value = fmt.Sprintf("%q", h.Raw)
		}
		row(w, "header "+h.Key, value)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return printValue(out, d.Value, d.Raw, d.ValueError)
}

// printValue prints a message, or its bytes.
func printValue(out io.Writer, value json.RawMessage, raw []byte, problem string) error {
	if problem != "" {
		_, err := fmt.Fprintf(out, "\n%s; %d bytes: %s\n", problem, len(raw), shorten(string(raw), 1000))
		return err
	}
	pretty, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "\n%s\n", pretty)
	return err
}
