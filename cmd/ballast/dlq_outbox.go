package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"example.com/ballast/cmd/ballast/internal/dlq"
	"example.com/ballast/pkg/outbox"
)

// outboxTool is what the commands about dead outbox rows share.
type outboxTool struct {
	*dlqTool

	service, url      string
	topic, typ, order string
	all, yes          bool
	why, by           string
}

// services whose outboxes can be looked into.
func outboxServices() []string { return []string{"orders", "inventory", "payments"} }

func (t *dlqTool) outbox() *cobra.Command {
	tool := &outboxTool{dlqTool: t}
	cmd := &cobra.Command{
		Use: "outbox", Short: "Work off messages that a service could not publish",
		Long: `A message that Kafka can never take (too large, its topic does not exist, refused)
moves from the service's outbox to outbox_dead with the reason, so that the others
go on. Replaying puts it back into the outbox; what was decided stays on record.

Messages that are replayed together keep their order. They are published after
whatever of the same key was published meanwhile: consumers decide by version and
by state, so an event that newer ones have overtaken changes nothing.`,
		Example: `  ballast dlq outbox list
  ballast dlq outbox show --service payments 12
  ballast dlq outbox replay --service payments 12 13 --reason "the topic exists now"
  ballast dlq outbox discard --service orders --topic orders.evnts --reason "misspelt topic of release 7"`,
	}
	flags := cmd.PersistentFlags()
	flags.StringVar(&tool.service, "service", "", "whose outbox: "+strings.Join(outboxServices(), ", ")+" (list: default all)")
	flags.StringVar(&tool.url, "admin-url", "", "base URL of the service's admin listener (default: from --home)")
	cmd.AddCommand(tool.list(), tool.show(), tool.decide(outbox.Replayed), tool.decide(outbox.Discarded))
	return cmd
}

func (o *outboxTool) addFilter(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.topic, "topic", "", "topic that they were for")
	cmd.Flags().StringVar(&o.typ, "type", "", "type of message, such as PaymentCharged")
	cmd.Flags().StringVar(&o.order, "order", "", "order id, or whatever the key is")
}

// outboxes returns those that are meant, by service.
func (o *outboxTool) outboxes() (map[string]dlq.Outbox, error) {
	if o.url != "" {
		return map[string]dlq.Outbox{o.service: {URL: o.url}}, nil
	}
	if o.service != "" && !slices.Contains(outboxServices(), o.service) {
		return nil, fmt.Errorf("--service %s: want one of %s", o.service, strings.Join(outboxServices(), ", "))
	}
	state, err := o.home().Running()
	if err != nil {
		return nil, err
	}
	found := map[string]dlq.Outbox{}
	for _, name := range outboxServices() {
		if o.service == "" || o.service == name {
			found[name] = dlq.Outbox{URL: state.Endpoints.Admin[name]}
		}
	}
	return found, nil
}

// one returns the outbox of the service that must be named.
func (o *outboxTool) one() (dlq.Outbox, error) {
	if o.service == "" && o.url == "" {
		return dlq.Outbox{}, errors.New("--service is missing: whose outbox, " + strings.Join(outboxServices(), ", "))
	}
	found, err := o.outboxes()
	return found[o.service], err
}

// takes reports whether the filter takes a row: one of its messages will do.
func (o *outboxTool) takes(d outbox.Dead) bool {
	if o.topic == "" && o.typ == "" && o.order == "" {
		return true
	}
	return slices.ContainsFunc(d.Messages, func(m outbox.DeadMessage) bool {
		return (o.topic == "" || m.Topic == o.topic) && (o.order == "" || m.Key == o.order) &&
			(o.typ == "" || m.Type == o.typ || strings.HasSuffix(m.Type, "."+o.typ))
	})
}

// deadRow is a row with its service.
type deadRow struct {
	Service string `json:"service"`
	outbox.Dead
}

func (o *outboxTool) list() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List the rows that nobody has decided about", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			outboxes, err := o.outboxes()
			if err != nil {
				return err
			}
			rows := []deadRow{}
			for _, name := range slices.Sorted(maps.Keys(outboxes)) {
				dead, err := outboxes[name].Rows(cmd.Context(), o.all)
				if err != nil {
					return err
				}
				for _, d := range dead {
					if o.takes(d) {
						rows = append(rows, deadRow{name, d})
					}
				}
			}
			return finish(cmd.OutOrStdout(), o.asJSON, rows, func(out io.Writer) error { return printDeadRows(out, rows) }, true)
		},
	}
	o.addFilter(cmd)
	cmd.Flags().BoolVar(&o.all, "all", false, "also those that were decided about, with who and why")
	return cmd
}

func printDeadRows(out io.Writer, rows []deadRow) error {
	if len(rows) == 0 {
		_, err := fmt.Fprintln(out, "no dead rows")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row(w, "SERVICE", "ROW", "DIED", "TOPIC", "TYPE", "KEY", "VERSION", "BYTES", "REASON", "DECIDED")
	for _, d := range rows {
		decided := ""
		if d.Decision != "" {
			decided = fmt.Sprintf("%s by %s %s: %s", d.Decision, d.By, stamp(*d.DecidedAt), shorten(d.Why, 60))
		}
		messages := d.Messages
		if len(messages) == 0 {
			messages = []outbox.DeadMessage{{Topic: "-", Type: "-"}}
		}
		for _, m := range messages {
			row(w, d.Service, strconv.FormatInt(d.ID, 10), stamp(d.DiedAt), m.Topic, m.Type, shorten(m.Key, 40),
				strconv.FormatInt(m.Version, 10), strconv.Itoa(d.Bytes), shorten(d.Reason, 80), decided)
		}
	}
	return w.Flush()
}

func (o *outboxTool) show() *cobra.Command {
	return &cobra.Command{
		Use: "show --service NAME ROW", Short: "Show a row with its messages", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := rowIDs(args)
			if err != nil {
				return err
			}
			from, err := o.one()
			if err != nil {
				return err
			}
			d, err := from.Row(cmd.Context(), ids[0])
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if o.asJSON {
				return json.NewEncoder(out).Encode(d)
			}
			if err := printDeadRows(out, []deadRow{{o.service, d}}); err != nil {
				return err
			}
			for _, m := range d.Messages {
				fmt.Fprintf(out, "\nmessage %s of %s", m.ID, stamp(m.Time))
				value, err := dlq.Decode(m.Type, m.Value)
				problem := ""
				if err != nil {
					problem = err.Error()
				}
				if err := printValue(out, value, m.Value, problem); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func rowIDs(args []string) ([]int64, error) {
	ids := make([]int64, len(args))
	for i, arg := range args {
		var err error
		if ids[i], err = strconv.ParseInt(arg, 10, 64); err != nil {
			return nil, fmt.Errorf("%s is not the number of a row, as in the column ROW of `ballast dlq outbox list`", arg)
		}
	}
	return ids, nil
}

// decide makes the command for one kind of decision.
func (o *outboxTool) decide(d outbox.Decision) *cobra.Command {
	verb, short, need := "replay", "Put rows back into the outbox, to be published again", ""
	if d == outbox.Discarded {
		verb, short, need = "discard", "Give rows up for good; they stay on record", " (required)"
	}
	cmd := &cobra.Command{
		Use: verb + " --service NAME [ROW...]", Short: short,
		Long: short + ".\nWithout row numbers all open rows that the filters take are meant. Doing it twice\ndoes nothing the second time.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.runDecide(cmd, d, verb, args)
		},
	}
	o.addFilter(cmd)
	cmd.Flags().StringVar(&o.why, "reason", "", "why, for the record"+need)
	cmd.Flags().StringVar(&o.by, "by", operator(), "who decides, for the record")
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "don't ask")
	return cmd
}

func (o *outboxTool) runDecide(cmd *cobra.Command, d outbox.Decision, verb string, args []string) error {
	wanted, err := rowIDs(args)
	if err != nil {
		return err
	}
	if d == outbox.Discarded && o.why == "" {
		return errors.New("--reason is missing: why they may be given up; it stays on record")
	}
	from, err := o.one()
	if err != nil {
		return err
	}
	open, err := from.Rows(cmd.Context(), false)
	if err != nil {
		return err
	}
	var rows []deadRow
	ids := []int64{}
	for _, dead := range open {
		if o.takes(dead) && (len(wanted) == 0 || slices.Contains(wanted, dead.ID)) {
			rows, ids = append(rows, deadRow{o.service, dead}), append(ids, dead.ID)
		}
	}
	if len(rows) > 0 {
		if err := printDeadRows(cmd.ErrOrStderr(), rows); err != nil {
			return err
		}
		if err := confirm(cmd, o.yes, fmt.Sprintf("%s %d row(s)", verb, len(rows))); err != nil {
			return err
		}
		if ids, err = from.Decide(cmd.Context(), d, outbox.Verdict{IDs: ids, By: o.by, Why: o.why}); err != nil {
			return err
		}
	}
	result := struct {
		Decision outbox.Decision `json:"decision"`
		Rows     []int64         `json:"rows"`
	}{d, ids}
	return finish(cmd.OutOrStdout(), o.asJSON, result, func(out io.Writer) error {
		_, err := fmt.Fprintf(out, "%d row(s) %s\n", len(ids), d)
		return err
	}, true)
}
